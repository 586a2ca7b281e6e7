//! What holds of every directory, whatever was done to it; and what a registration may say. Random sequences of commands are
//! played through the state, which has the compiler beside it.

use super::*;

impl Directory {
    /// Invariants 1 and 3, and the count of bytes.
    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        let mut bytes = 0;
        for (name, roster) in &self.services {
            assert_eq!(roster.by_id.len(), roster.by_address.len());
            for (id, key) in &roster.by_id {
                let record = &self.records[*key];
                assert_eq!((&record.service, &record.id), (name, id));
                assert_eq!(roster.by_address.get(&record.address), Some(key));
                assert!(record.revision <= roster.revision && roster.revision <= self.revision);
                assert!(record.transitions.len() <= limits::TRANSITIONS);
                assert_eq!(record.transitions.back().unwrap().status, record.status());
                assert_eq!(record.place.is_some(), record.lease.is_some());
                if let (Some(place), Some(lease)) = (record.place, record.lease) {
                    let late = record.late != Late::InTime;
                    assert!(late || place <= Step::of(lease.ends), "{record:?}");
                }
                bytes += record.text_bytes();
            }
        }
        let rosters = self.services.values().map(|roster| roster.by_id.len());
        assert_eq!(rosters.sum::<usize>(), self.records.len());
        let placed = self.records.iter().filter(|(_, record)| record.place.is_some());
        assert_eq!(placed.count(), self.leases.len());
        assert_eq!(bytes, self.text_bytes);
    }
}

const NOW: Duration = Duration::from_secs(100);

fn draft() -> Draft {
    Draft { ttl: Some(limits::LEASE), ..Draft::at("10.0.0.1:80".parse().unwrap()) }
}

#[test]
fn what_a_registration_may_say() {
    let long = |length| "x".repeat(length);
    let refused = |draft: Draft| Registration::new("a", draft).unwrap_err().to_string();
    assert!(Registration::new("a", draft()).is_ok());
    assert!(Registration::new(&long(limits::INSTANCE_ID_BYTES), draft()).is_ok());
    for id in ["", "a\nb", &long(limits::INSTANCE_ID_BYTES + 1)] {
        let said = Registration::new(id, draft()).unwrap_err().to_string();
        assert!(said.contains("expected 1 to 255, without control characters"), "{said}");
    }
    for ttl in [Duration::ZERO, Duration::from_millis(999), limits::LEASE_MAX + limits::LEASE_STEP]
    {
        let said = refused(Draft { ttl: Some(ttl), ..draft() });
        assert!(said.contains("expected 1 s to 86400 s"), "{said}");
    }
    for weight in [0, limits::INSTANCE_WEIGHT + 1] {
        assert!(refused(Draft { weight, ..draft() }).contains("expected 1 to 65535"));
    }
    let said = refused(Draft { tags: vec!["t".into(); limits::INSTANCE_TAGS + 1], ..draft() });
    assert!(said.contains("65 tags: expected at most 64"), "{said}");
    assert!(refused(Draft { tags: vec![String::new()], ..draft() }).contains("a tag of 0 bytes"));
    assert!(refused(Draft { zone: Some(long(256)), ..draft() }).contains("the zone of 256 bytes"));
    assert!(refused(Draft { version: Some("1\0".into()), ..draft() }).contains("the version"));
    let metadata = |pairs: Vec<(String, String)>| pairs.into_iter().collect();
    let many = (0..=limits::METADATA_PAIRS).map(|at| (at.to_string(), String::new())).collect();
    assert!(
        refused(Draft { metadata: metadata(many), ..draft() }).contains("65 pairs of metadata")
    );
    for (key, value) in [(long(129), String::new()), ("k".into(), long(513)), Default::default()] {
        let said = refused(Draft { metadata: metadata(vec![(key, value)]), ..draft() });
        assert!(said.contains("of the metadata"), "{said}");
    }
    assert!(refused(Draft::at("10.0.0.1:0".parse().unwrap())).contains("the port of an instance"));
}

#[test]
fn texts_are_bounded_together() {
    let mut directory = Directory::default();
    let value = "x".repeat(limits::METADATA_VALUE_BYTES);
    let metadata: BTreeMap<_, _> =
        (0..limits::METADATA_PAIRS).map(|at| (at.to_string(), value.clone())).collect();
    let big = |at: u32| {
        let address = format!("10.0.{}.{}:80", at / 256, at % 256).parse().unwrap();
        let draft = Draft { metadata: metadata.clone(), ..Draft::at(address) };
        Registration::new(&at.to_string(), draft).unwrap()
    };
    let mut count = 0;
    while directory.has_room("s", &big(count)).is_ok() {
        directory.register("s", big(count), NOW);
        count += 1;
    }
    assert!((900..1_100).contains(&count), "{count}: each has 33 KB");
    assert!(directory.has_room("s", &big(0)).is_ok(), "the same again takes no more");
    assert!(directory.has_room("s", &Registration::plain(draft().address).unwrap()).is_ok());
    directory.assert_whole();
    directory.deregister("s", "0");
    assert!(directory.has_room("s", &big(count)).is_ok());
}

/// A tick looks at those that are due, however many there are, and at no more than it is told to.
#[test]
fn leases_end_some_at_a_time() {
    let mut directory = Directory::default();
    for at in 0..3_000_u16 {
        let address = Address::Tcp(([10, 0, 0, 1], 1_000 + at).into());
        let draft = Draft { ttl: Some(limits::LEASE), ..Draft::at(address) };
        directory.register("s", Registration::new(&at.to_string(), draft).unwrap(), NOW);
    }
    let gone =
        |directory: &mut Directory, at, most| directory.expire(at, most, |_, _, _| None).gone;
    assert!(gone(&mut directory, NOW + limits::LEASE - limits::LEASE_STEP, 10_000).is_empty());
    let due = NOW + limits::LEASE;
    assert_eq!(directory.next_expiry(), Some(due));
    assert!(directory.renew("s", "7", due));
    let counts: Vec<_> = (0..3).map(|_| gone(&mut directory, due, 1_024).len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 2_999);
    assert!(counts[0] <= 1_024 && gone(&mut directory, due, 1_024).is_empty());
    directory.assert_whole();
    assert_eq!(directory.leases.next(), Some(due + limits::LEASE));
}

#[test]
fn pages_follow_each_other() {
    let mut directory = Directory::default();
    let all: Vec<_> = (10..35).map(|at| at.to_string()).collect();
    for (at, id) in all.iter().enumerate() {
        let address = Address::Tcp(([10, 0, 0, 1], 80 + at as u16).into());
        directory.register("s", Registration::new(id, Draft::at(address)).unwrap(), NOW);
    }
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = directory.instances("s", after.as_deref(), 10, NOW).unwrap();
        assert_eq!(page.count, 25);
        seen.extend(page.instances.into_iter().map(|instance| instance.id));
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(seen, all);
    assert!(directory.instances("t", None, 10, NOW).is_none());
    assert_eq!(directory.services(None, 10).services[0].registered, 25);
}
