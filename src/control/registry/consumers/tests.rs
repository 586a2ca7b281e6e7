//! Orders about consumers: what each leads to, and what is refused.

use std::collections::BTreeMap;

use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::consumers::{Added, ConsumerChanges};
use coregate_core::snapshot::plan::ConsumerPlan;

use super::*;
use crate::registry::order::Page;

const NOW: u64 = 1_000;

fn key(text: &str) -> KeyPlan {
    KeyPlan { digest: KeyDigest::of(text.as_bytes()), expires: None }
}

fn digits(text: &str) -> Which {
    Which::one(&key(text).digest.to_string()).unwrap()
}

/// A configuration with `mobile`, whose key is `m`, and what was changed beside it.
struct World {
    plans: Vec<ConsumerPlan>,
    changes: ConsumerChanges,
    touched: Touched,
}

impl World {
    fn new() -> Self {
        let mobile = ConsumerPlan {
            name: "mobile".into(),
            groups: vec!["gold".into()],
            keys: vec![key("m")],
        };
        let changes = ConsumerChanges::default();
        Self { plans: vec![mobile], changes, touched: Touched::default() }
    }

    fn roster(&self) -> Roster<'_> {
        Roster { plans: &self.plans, changes: &self.changes }
    }

    fn ask(&mut self, name: &str, what: Asked) -> Result<Vec<String>, String> {
        let order = ConsumerOrder { name: name.into(), at: NOW, what };
        let mut step = self.roster().step(&order).map_err(|error| error.to_string())?;
        let notes = std::mem::take(&mut step.notes);
        step.carry_out(&mut self.changes, &mut self.touched);
        Ok(notes)
    }

    fn add(&mut self, name: &str, groups: &[&str], text: &str) -> Result<Vec<String>, String> {
        let groups = groups.iter().map(ToString::to_string).collect();
        self.ask(name, Asked::Add { groups, key: key(text) })
    }

    fn rotate(&mut self, name: &str, text: &str, old: Which, until: u64) {
        self.ask(name, Asked::Rotate { key: key(text), old, until }).unwrap();
    }

    /// The keys of a consumer: how they begin, `f` for those of the file, `x` for those that are over.
    fn keys(&self, name: &str, at: u64) -> Vec<String> {
        let view = self.roster().view(name, at).unwrap();
        let marks = |key: &KeyView| {
            let over = match key.state {
                KeyState::Valid => "",
                KeyState::Expired => "x",
                KeyState::Revoked => "r",
            };
            let of = if key.source == ConsumerSource::File { "f" } else { "" };
            format!("{}{of}{over}", &key.digest[..2])
        };
        view.keys.iter().map(marks).collect()
    }
}

fn start(text: &str) -> String {
    key(text).digest.to_string()[..2].to_owned()
}

#[test]
fn consumers_come_and_go() {
    let mut world = World::new();
    assert_eq!(world.add("web", &["tin", "gold", "tin"], "w"), Ok(vec![]));
    let view = world.roster().view("web", NOW).unwrap();
    assert_eq!(
        (view.groups, view.source),
        (vec!["gold".into(), "tin".into()], ConsumerSource::Added)
    );
    assert!(world.add("web", &[], "v").unwrap_err().contains("is there already"));
    assert!(world.add("mobile", &[], "v").unwrap_err().contains("is there already"));
    assert!(world.add("a b", &[], "v").unwrap_err().contains("consumer \"a b\": expected 1 to 64"));
    let like_a_group = world.add("group:gold", &[], "v").unwrap_err();
    assert_eq!(like_a_group, "consumer \"group:gold\": group: begins what stands for a group");
    assert!(world.add("a", &["-"], "v").unwrap_err().contains("group \"-\": expected 1 to 64"));
    let many: Vec<_> = (0..17).map(|number| format!("g{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(world.add("a", &many, "v").unwrap_err(), "groups of a consumer: at most 16");
    assert!(
        world.ask("mobile", Asked::Remove).unwrap_err().contains("stands in the configuration")
    );
    assert_eq!(world.ask("web", Asked::Remove), Ok(vec![]));
    assert_eq!(world.ask("web", Asked::Remove).unwrap_err(), "there is no consumer \"web\"");
    assert_eq!(world.roster().view("web", NOW), None);
    assert_eq!(world.changes, ConsumerChanges::default());
    assert!(world.touched.names.contains("web"), "the store hears of it");
}

#[test]
fn a_consumer_of_the_configuration_is_given_keys() {
    let mut world = World::new();
    world.ask("mobile", Asked::Give(key("n"))).unwrap();
    assert_eq!(world.keys("mobile", NOW), [start("m") + "f", start("n")]);
    let page = world.roster().page(&Page::default(), NOW);
    assert_eq!((page.count, page.consumers.len()), (1, 1));
    let plans = std::mem::take(&mut world.plans);
    assert_eq!(world.roster().view("mobile", NOW), None, "it is named no more");
    assert_eq!(world.roster().page(&Page::default(), NOW).count, 0);
    // Somebody new has nothing of it.
    assert_eq!(world.add("mobile", &[], "o"), Ok(vec![]));
    assert_eq!(world.keys("mobile", NOW), [start("o")]);
    world.plans = plans;
    assert!(world.ask("mobile", Asked::Remove).unwrap()[0].contains("goes on with the keys"));
    assert_eq!(world.keys("mobile", NOW), [start("m") + "f"]);
}

#[test]
fn a_key_that_is_revoked_stays_so() {
    let mut world = World::new();
    world.add("web", &[], "w").unwrap();
    world.ask("web", Asked::Give(key("v"))).unwrap();
    assert_eq!(world.ask("web", Asked::Revoke(digits("w"))), Ok(vec![]));
    assert_eq!(world.keys("web", NOW), [start("v")]);
    let notes = world.ask("mobile", Asked::Revoke(digits("m"))).unwrap();
    assert!(notes[0].contains("stands in the configuration, and is refused all the same"));
    assert_eq!(world.keys("mobile", NOW), [start("m") + "fr"]);
    assert_eq!(world.keys("mobile", 0), [start("m") + "fr"], "whatever the clock says");
    for text in ["m", "w"] {
        assert_eq!(world.changes.end_of(&key(text)), Some(0), "no configuration brings it back");
    }
    let missing = world.ask("web", Asked::Revoke(digits("w"))).unwrap_err();
    assert_eq!(missing, format!("consumer \"web\" has no key {}", key("w").digest));
    world.ask("web", Asked::Revoke(Which::All)).unwrap();
    assert_eq!(world.keys("web", NOW), Vec::<String>::new());
    assert_eq!(world.roster().view("web", NOW).unwrap().groups, Vec::<String>::new());
    for bad in ["", "1234567", "123456789_", "cg_0123456789", &"a".repeat(65)] {
        assert_eq!(Which::one(bad), Err(ConsumerError::BadDigest), "{bad}");
    }
}

#[test]
fn a_rotation_ends_old_keys_at_a_time() {
    let mut world = World::new();
    world.ask("mobile", Asked::Give(key("n"))).unwrap();
    world.rotate("mobile", "o", Which::All, NOW + 50);
    let (m, n, o) = (start("m"), start("n"), start("o"));
    assert_eq!(world.keys("mobile", NOW + 49), [m.clone() + "f", n.clone(), o.clone()]);
    assert_eq!(world.keys("mobile", NOW + 50), [m.clone() + "fx", n.clone() + "x", o.clone()]);
    // A later end is no reason to go on for longer.
    world.rotate("mobile", "p", Which::All, NOW + 70);
    let p = start("p");
    let over = [m.clone() + "fx", n.clone() + "x", o.clone(), p.clone()];
    assert_eq!(world.keys("mobile", NOW + 60), over);
    world.rotate("mobile", "q", digits("p"), NOW);
    let q = start("q");
    assert_eq!(world.keys("mobile", NOW), [m + "f", n, o, q], "without a grace it is gone");
    assert_eq!(world.changes.end_of(&key("p")), Some(0));
}

#[test]
fn keys_that_ended_make_room() {
    let mut world = World::new();
    world.add("web", &[], "w").unwrap();
    for number in 1..limits::KEYS_OF_CONSUMER {
        let expires = (number % 2 == 0).then_some(NOW);
        let key = KeyPlan { expires, ..key(&number.to_string()) };
        world.ask("web", Asked::Give(key)).unwrap();
    }
    world.ask("web", Asked::Give(key("more"))).unwrap();
    let left = world.keys("web", NOW).len();
    assert_eq!(left, limits::KEYS_OF_CONSUMER / 2 + 2);
    for number in left..limits::KEYS_OF_CONSUMER {
        world.ask("web", Asked::Give(key(&format!("again {number}")))).unwrap();
    }
    let full = world.ask("web", Asked::Give(key("too much"))).unwrap_err();
    assert_eq!(full, "keys of a consumer: at most 16");
}

#[test]
fn what_nobody_holds_is_forgotten_first() {
    let mut world = World::new();
    let digest = |number: usize| KeyDigest::of(&number.to_le_bytes());
    world.changes.revoked = (0..limits::REVOKED_KEYS).map(|number| (digest(number), 0)).collect();
    world.plans[0].keys.push(KeyPlan { digest: digest(7), expires: None });
    world.ask("mobile", Asked::Revoke(digits("m"))).unwrap();
    let left: Vec<_> = world.changes.revoked.keys().copied().collect();
    let mut expected = [digest(7), key("m").digest];
    expected.sort();
    assert_eq!(left, expected);
    assert_eq!(world.touched.keys.len(), limits::REVOKED_KEYS, "the store forgets them too");
}

#[test]
fn digests_are_as_long_as_tells_them_apart() {
    let mut world = World::new();
    let mut bytes = *key("m").digest.bytes();
    bytes[5] ^= 1;
    let near = KeyPlan { digest: KeyDigest::new(bytes), expires: None };
    world.ask("mobile", Asked::Give(near)).unwrap();
    let view = world.roster().view("mobile", NOW).unwrap();
    assert_eq!(view.keys.iter().map(|key| key.digest.len()).collect::<Vec<_>>(), [12, 12]);
    let ambiguous = world.ask("mobile", Asked::Revoke(digits("m"))).unwrap_err();
    assert!(ambiguous.contains("give more digits"), "{ambiguous}");
    let one = Which::one(&view.keys[1].digest.to_uppercase()).unwrap();
    world.ask("mobile", Asked::Revoke(one)).unwrap();
    assert_eq!(world.keys("mobile", NOW), [start("m") + "f"]);
}

#[test]
fn pages_hold_all_of_them_once() {
    let mut world = World::new();
    for name in ["a", "mobile2", "z", "b"] {
        world.add(name, &[], name).unwrap();
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = world.roster().page(&Page { after: after.clone(), most: 2 }, NOW);
        assert_eq!(page.count, 5);
        seen.extend(page.consumers.into_iter().map(|one| one.name));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "mobile", "mobile2", "z"]);
}

#[test]
fn what_is_kept_is_the_same_again() {
    let mut world = World::new();
    world.add("web", &["gold"], "w").unwrap();
    world.ask("mobile", Asked::Give(KeyPlan { expires: Some(7), ..key("n") })).unwrap();
    world.rotate("mobile", "o", Which::All, NOW + 5);
    let kept = KeptConsumers::of(&world.changes);
    let text = serde_json::to_string(&kept).unwrap();
    let again: KeptConsumers = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (again.changes(), &kept),
        (world.changes, &KeptConsumers::of(&kept.clone().changes()))
    );
    // What another build may have written is taken as far as it is some.
    let odd = r#"{"added": [{"name": "a b"}, {"name": "c", "keys": [{"sha256": "x"}]}], "revoked": [["no", 1]]}"#;
    let odd = serde_json::from_str::<KeptConsumers>(odd).unwrap().changes();
    let expected: BTreeMap<_, _> = [("c".to_owned(), Added::default())].into();
    assert_eq!(odd, ConsumerChanges { added: expected, ..ConsumerChanges::default() });
}
