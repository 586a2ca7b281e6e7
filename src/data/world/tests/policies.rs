//! Who is let in, and how much: consumers, keys and rates.

use std::num::NonZeroU64;
use std::ops::Deref;

use coregate_core::policy::credential::KeyDigest;
use coregate_core::snapshot::plan::{
    Access, Action, AuthMethod, AuthPlan, ConsumerPlan, Cost, KeyAuth, KeyPlace, KeyPlan, Per,
    Principal, RateHeaders, RatePlan, RateTerms, Respond, RoutePlan,
};

use super::*;
use crate::proxy::authenticate::Identified;
use crate::worker::accounts::Decision;

mod keys;
mod rates;

/// The keys of the consumers here.
const ANN: &str = "X-Api-Key: key-of-ann\r\n";
const BOB: &str = "X-Api-Key: key-of-bob\r\n";

/// The route of these plans takes everything, and asks for a key.
fn asking(plan: &mut Plan) {
    let consumer = |name: &str, group: &str| {
        let digest = KeyDigest::of(format!("key-of-{name}").as_bytes());
        let keys = vec![KeyPlan { digest, expires: None }];
        ConsumerPlan { name: name.into(), groups: vec![group.into()], keys }
    };
    plan.consumers = vec![consumer("ann", "gold"), consumer("bob", "tin")];
    plan.routes[0].policies.auth = Some(AuthPlan::KEY.to_owned());
}

/// So many at once, and as many a second.
fn rate(name: &str, count: u64, per: &[Per]) -> RatePlan {
    let count = NonZeroU64::new(count).unwrap();
    let terms = RateTerms { count, window: Duration::from_secs(1), burst: count };
    RatePlan { per: per.to_vec(), ..RatePlan::named(name, terms) }
}

/// The route of this plan is limited by these, in this order.
fn limited(plan: &mut Plan, rates: Vec<RatePlan>) {
    plan.routes[0].policies.rates = rates.iter().map(|rate| rate.name.clone()).collect();
    plan.rates = rates;
}

const EACH_ADDRESS: Per = Per::Address { v4: 32, v6: 64 };

fn get(fields: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// A world with one instance, which answers whatever it is asked.
struct Scene {
    world: World,
    instance: End,
}

impl Deref for Scene {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

fn scene(change: impl FnOnce(&mut Plan)) -> Scene {
    let world = world_on(change);
    let instance = world.instance(&address());
    Scene { world, instance }
}

impl Scene {
    /// What a client of this address is told, and what the instance gets of that, if anything.
    fn exchange(&self, address: &str, request: &str, answer: &str) -> (String, Option<String>) {
        let client = self.client_at(address);
        self.said(&client, request);
        let sent = Some(text(&self.instance)).filter(|sent| !sent.is_empty());
        if sent.is_some() {
            self.said(&self.instance, answer);
        }
        (text(&client), sent)
    }

    /// The status and the answer for a client of this address that asks with these fields.
    fn ask_from(&self, address: &str, fields: &str) -> (u16, String) {
        let (answer, _) = self.exchange(address, &get(fields), OK);
        let status = answer.get(9..12).unwrap_or_default().parse().unwrap_or_default();
        (status, answer)
    }

    fn ask(&self, fields: &str) -> (u16, String) {
        self.ask_from("10.0.0.9", fields)
    }

    fn status(&self, fields: &str) -> u16 {
        self.ask(fields).0
    }

    /// What the instance gets of a request that it gets; its client is told what it says.
    fn sent(&self, request: &str) -> String {
        let (answer, sent) = self.exchange("10.0.0.9", request, OK);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        sent.unwrap_or_default()
    }

    fn identified(&self, result: Identified) -> u64 {
        self.stats().authentications[result as usize].get()
    }

    /// How often each was said of the only route.
    fn decided(&self) -> [u64; 3] {
        let route = self.worker().with_snapshot(|snapshot| snapshot.routes().next().unwrap().id);
        Decision::ALL.map(|(decision, _)| self.worker().post().decisions.get(route, decision))
    }
}

/// The lines of a head that begin like this, in lower case.
fn lines(head: &str, start: &str) -> Vec<String> {
    let head = head.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
    head.split("\r\n").filter(|line| line.starts_with(start)).map(str::to_owned).collect()
}
