//! Listener permits: a name finds its word, in every process; more names than words.

use crate::base::cells::listeners::place;
use crate::base::cells::{Cells, sync};

#[test]
fn a_name_has_one_word_in_every_process() {
    let cells = Cells::owned(0);
    let [old, new] = [0, 1].map(|epoch| cells.clone().in_epoch(epoch));
    let [public, local] = ["public", "local"].map(|name| old.listener_place(name));
    assert_ne!(public, local);
    assert_eq!((new.listener_place("local"), new.listener_place("public")), (local, public));
    assert!(old.listener_connections(public).take(1, 2));
    assert!(new.listener_connections(public).take(1, 2));
    assert!(!old.listener_connections(public).take(1, 2));
    assert!(old.listener_connections(local).take(1, 1));
    assert_eq!(new.forget_other(), 2);
    assert_eq!(new.listener_connections(public).taken(), 1);
}

#[test]
fn names_that_meet_go_on_to_the_next_place() {
    let tags = sync::zeroed(4);
    assert_eq!([6, 10, 3, 2].map(|key| place(&tags, key)), [2, 3, 0, 1]);
    assert_eq!([10, 6, 2, 3].map(|key| place(&tags, key)), [3, 2, 1, 0]);
    // There is no room for one more: it shares the word that its hash says.
    assert_eq!(place(&tags, 7), 3);
    assert_eq!(place(&tags, 10), 3);
}
