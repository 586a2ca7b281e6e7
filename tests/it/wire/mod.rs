//! What goes over the wire: bytes in, bytes out.
//!
//! Single inputs stand in `hostile/table.rs`. Cases that take a course in time, and the test that shows each; `world` is
//! `src/data/world/tests.rs` (and what lies under it), where time is moved instead of waited for. A tidy test holds the names to what there is.
//!
//! | case | right answer | shown by |
//! |---|---|---|
//! | an answer while the body still arrives | relayed; then drained within the budget, or closed; never pooled undrained | `interim::an_answer_while_the_body_is_still_arriving` `world::an_early_answer_ends_the_exchange_and_the_body_is_drained` |
//! | an answer of our own to a request with a body (CVE-2025-4366) | the same | `interim::a_local_answer_while_the_body_is_still_arriving` |
//! | bytes behind an upgrade before the 101 (CVE-2026-2833) | held; forwarded behind a 101 that fits, else the next request | `upgrade::bytes_behind_the_request_follow_a_101` `upgrade::bytes_behind_the_request_are_the_next_one_without_a_101` `world::bytes_behind_an_upgrade_are_held_until_the_101` |
//! | a 101 that nobody asked for, or to something else | 502, upstream closed | `upgrade::a_101_that_does_not_fit_is_a_502` |
//! | a tunnel whose one side ends, resets, falls silent, or is told to stop | passed on alone; a reset; ended; waited for | `upgrade::an_end_is_passed_on_alone` `upgrade::a_reset_is_passed_on_as_a_reset` `world::a_tunnel_in_which_nothing_moves_is_ended` `upgrade::a_gentle_stop_waits_for_tunnels` |
//! | an HTTP/1.0 request with a body and no length (CVE-2026-2835) | no body | `messages::http_1_0_clients` |
//! | an HTTP/1.0 answer with a transfer coding | 502, upstream closed | `responses::a_malformed_head_is_a_502` |
//! | an answer with length and coding, lengths that differ, a bad length, an unknown coding | 502, upstream closed | `responses::a_malformed_head_is_a_502` |
//! | an answer with more bytes than its length | as many as the length says; upstream closed, counted | `responses::bytes_behind_an_answer_end_the_connection` `world::bytes_behind_an_answer_end_its_connection_however_they_come` |
//! | an instance that closes within a body | the client is cut, without a clean end | `responses::a_truncated_body_is_passed_on_as_truncated` `world::an_old_client_cannot_take_a_part_for_the_whole` |
//! | a reset before the answer, on a used connection, idempotent | one retry on a fresh connection, else 502 | `pool::a_get_on_a_connection_that_died_is_tried_again` `pool::a_retry_happens_once` |
//! | the same of a POST that was sent | 502 | `pool::a_post_that_was_sent_is_not_tried_again` |
//! | a body behind 204, 304 or the answer to HEAD | dropped, upstream closed | `responses::bytes_behind_an_answer_end_the_connection` |
//! | interim answers without end | 32, then 502 | `interim::as_many_interim_answers_as_allowed` `responses::a_malformed_head_is_a_502` |
//! | a head that never ends | 408 at the deadline from its first byte, closed | `rejects::a_head_that_is_never_finished` `world/pace::a_head_has_ten_seconds_from_its_first_byte` `world::a_head_behind_an_answer_has_its_own_deadline` |
//! | a body at a byte a second | 408 once the grace is used up, closed | `pace::a_body_that_trickles_is_cut` `world/pace::a_byte_a_second_is_too_slow_in_either_direction` |
//! | an answer read at a byte a second | bounded memory, then cut; the instance is made to wait | `pace::a_reader_that_trickles_is_cut` `world/pace::a_byte_a_second_is_too_slow_in_either_direction` `bodies::memory_stays_bounded_while_a_client_does_not_read` |
//! | `Expect: 100-continue`, refused by the instance | relayed, the body is not waited for, closed | `interim::a_body_that_is_refused_before_it_is_sent` `world::an_early_answer_to_a_client_that_waits_for_a_100_ends_the_connection` |
//! | forwarding fields of an untrusted client | overwritten | `heads::requests_byte_for_byte` |
//! | `Connection` names a field of ours | it stays | `heads::requests_byte_for_byte` |
//! | our own `Via` twice; `Max-Forwards: 0` | 508; 204 to OPTIONS | `hops::a_gateway_that_is_its_own_instance` `hops::what_a_loop_is` `hops::max_forwards` |
//! | a path matched in another form than is forwarded | one normal form for both | `paths::what_is_matched_is_what_is_forwarded` |
//! | a half-closed peer | is answered, and heard | `halves::a_client_that_ends_its_half_behind_a_request` `halves::an_instance_that_ends_its_half_behind_its_answer` |
//! | events without an end | each at once | `events::in_chunks` `events::until_the_connection_ends` `events::to_old_clients` |
//! | a PROXY protocol header from a trusted peer, however it is cut | the client that it names, for the whole connection | `proxy_protocol::a_trusted_peer_says_who_the_client_is` `proxy_protocol::requests_may_be_pipelined_behind_a_header` |
//! | none, a broken, an endless one | closed without a word, counted | `proxy_protocol::a_trusted_peer_without_a_good_header_is_closed` `world/preface::a_header_has_the_time_of_a_head` |
//! | a header from anyone else, or a second one | 400 | `proxy_protocol::a_header_from_anyone_else_is_a_malformed_request` |
//! | a connection that has named its client to an instance | that client's alone, closed with it | `proxy_protocol::clients_never_share_a_connection` `proxy_protocol::a_retry_has_the_header_again` `world/preface::a_connection_that_has_named_its_client_goes_with_it` |
//! | a TCP route | bytes as they are, ends one by one, resets as resets; closed where no instance can be reached | `tcp::whoever_likes_speaks_first` `tcp::an_end_is_passed_on_alone` `tcp::a_reset_is_passed_on_as_a_reset` `tcp::without_an_instance_a_client_is_closed` |

mod bodies;
mod events;
mod halves;
mod heads;
mod hops;
mod hostile;
mod interim;
mod limits;
mod messages;
mod pace;
mod paths;
mod pieces;
mod pool;
mod proxy_protocol;
mod rejects;
mod responses;
mod routing;
mod tcp;
mod trailers;
mod upgrade;
