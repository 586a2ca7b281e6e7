//! Header fields: every line checked to the byte, each field classified, and what they say together.
//!
//! The pass behind httparse: a line is `name ":" OWS value OWS CRLF` and begins where the one before it ended
//! (RFC 9112 §5). Whatever does not account for every byte of the head is refused.

use crate::base::limits;
use crate::http::framing::{FramingFields, plain_number};
use crate::http::head::{Field, Head, Method, Span};
use crate::http::hop::{self, Role};

/// What the fields of a head say together.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) framing: FramingFields,
    pub(super) says_close: bool,
    pub(super) says_keep_alive: bool,
    pub(super) connection_names_fields: bool,
    pub(super) expects_continue: bool,
    pub(super) bad_expectation: bool,
    pub(super) has_date: bool,
    pub(super) has_via: bool,
    pub(super) wants_trailers: bool,
    /// `Connection` names `Upgrade`.
    says_upgrade: bool,
    /// An `Upgrade` field names a protocol that may be offered.
    offers: bool,
    upgrade_fields: u8,
    max_forwards: Option<MaxForwards>,
}

/// What the `Max-Forwards` fields of a head say: a number, or nothing that could be counted down.
type MaxForwards = Result<u32, ()>;

impl Facts {
    /// RFC 9112 §9.3.
    pub(super) fn keep_alive(&self, http10: bool) -> bool {
        !self.says_close && (!http10 || self.says_keep_alive)
    }

    /// Whether there is one `Upgrade` field, and it names a protocol that may be offered.
    pub(super) fn offers(&self) -> bool {
        self.offers && self.upgrade_fields == 1
    }

    /// Whether the message agrees to, or asks for, another protocol (RFC 9110 §7.8): in one field, named by `Connection`.
    pub(super) fn upgrades(&self, http10: bool) -> bool {
        self.says_upgrade && self.offers() && !http10
    }

    /// How many more times an OPTIONS may be forwarded (RFC 9110 §7.6.2).
    pub(super) fn max_forwards(&self, method: Method) -> Result<Option<u32>, &'static str> {
        match self.max_forwards.filter(|_| method == Method::Options) {
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(())) => Err("max-forwards"),
            None => Ok(None),
        }
    }
}

/// Checks every line from `line_end` (the CR of the first line) to the end of the head, and fills the table.
pub(super) fn check<'p>(
    head: &[u8],
    line_end: usize,
    found: impl Iterator<Item = (&'p str, &'p [u8])>,
    table: &mut Vec<Field>,
) -> Result<Facts, &'static str> {
    let mut facts = Facts::default();
    let mut at = crlf(head, line_end)?;
    table.clear();
    for (found_name, found_value) in found {
        let name = at..at + found_name.len();
        if head.get(name.clone()) != Some(found_name.as_bytes())
            || head.get(name.end) != Some(&b':')
        {
            return Err("field line");
        }
        let value_start = skip_white_space(head, name.end + 1);
        let value = value_start..value_start + found_value.len();
        if head.get(value.clone()) != Some(found_value) {
            return Err("field line");
        }
        at = crlf(head, skip_white_space(head, value.end))?;
        let role = hop::role(found_name.as_bytes());
        facts.note(role, found_value);
        table.push(Field { name: Span::new(name), value: Span::new(value), role });
    }
    if crlf(head, at)? == head.len() { Ok(facts) } else { Err("end of the head") }
}

impl Facts {
    #[inline]
    fn note(&mut self, role: Role, value: &[u8]) {
        match role {
            Role::EndToEnd
            | Role::Host
            | Role::HopByHop
            | Role::Forwarded
            | Role::RequestId
            | Role::Consumer
            | Role::RateLimit => {}
            Role::ContentLength => self.framing.add_length(value),
            Role::TransferEncoding => self.framing.add_coding(value),
            Role::Date => self.has_date = true,
            Role::Connection => self.note_connection(value),
            Role::Expect | Role::Via | Role::Te | Role::Upgrade | Role::MaxForwards => {
                self.note_rare(role, value);
            }
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in hop::list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.says_close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.says_keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.says_upgrade = true;
            } else {
                self.connection_names_fields = true;
            }
        }
    }

    /// Kept out of the loop over all fields.
    #[cold]
    fn note_rare(&mut self, role: Role, value: &[u8]) {
        match role {
            Role::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                self.expects_continue = true;
            }
            Role::Expect => self.bad_expectation = true,
            Role::Via => self.has_via = true,
            Role::Te => {
                let trailers = |item: &[u8]| item.eq_ignore_ascii_case(b"trailers");
                self.wants_trailers |= hop::list(value).any(trailers);
            }
            Role::Upgrade => {
                self.upgrade_fields = self.upgrade_fields.saturating_add(1);
                self.offers = hop::offers(value).next().is_some();
            }
            Role::MaxForwards => {
                self.max_forwards = Some(match (self.max_forwards, plain_number(value)) {
                    (None, Some(number)) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
                    _ => Err(()),
                });
            }
            Role::EndToEnd
            | Role::Host
            | Role::HopByHop
            | Role::Forwarded
            | Role::RequestId
            | Role::Consumer
            | Role::RateLimit
            | Role::ContentLength
            | Role::TransferEncoding
            | Role::Date
            | Role::Connection => {}
        }
    }
}

fn skip_white_space(head: &[u8], mut at: usize) -> usize {
    while matches!(head.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

fn crlf(head: &[u8], at: usize) -> Result<usize, &'static str> {
    if head.get(at..at + 2) == Some(b"\r\n") { Ok(at + 2) } else { Err("line end") }
}

/// Fields that `Connection` names end here, but never those that the gateway itself reads or writes.
pub(super) fn drop_named(head: &mut Head) -> Result<(), &'static str> {
    let mut seen = 0;
    for at in 0..head.fields.len() {
        if head.fields[at].role != Role::Connection {
            continue;
        }
        for option in hop::list(&head.page[head.fields[at].value.range()]) {
            seen += 1;
            if seen > limits::CONNECTION_OPTIONS {
                return Err("too many connection options");
            }
            for field in &mut head.fields {
                let named = head.page[field.name.range()].eq_ignore_ascii_case(option);
                if named && matches!(field.role, Role::EndToEnd | Role::RateLimit) {
                    field.role = Role::HopByHop;
                }
            }
        }
    }
    Ok(())
}
