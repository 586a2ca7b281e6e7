//! What the registry counts: written by its thread alone, read by anyone.

use coregate_core::base::counter::Counter;

/// Its counters, and gauges.
#[derive(Debug, Default)]
pub struct RegistryStats {
    /// Commands that were applied.
    pub commands: Counter,
    /// Commands that were refused.
    pub refused: Counter,
    /// Snapshots that were published.
    pub publishes: Counter,
    /// Snapshots kept for workers that may still read them.
    pub retired_snapshots: Counter,
    /// Instances that there are.
    pub instances: Counter,
    /// Those of them that have a lease.
    pub leased: Counter,
    /// Instances that registered, and were not there.
    pub registered: Counter,
    /// Renewals of leases.
    pub renewed: Counter,
    /// Instances that went by themselves.
    pub deregistered: Counter,
    /// Instances whose leases ended.
    pub expired: Counter,
    /// Instances that are drained, or being so.
    pub draining: Counter,
    /// Instances that are probed.
    pub probed: Counter,
    /// Instances that are down by their probes, wait for their first, or are held back.
    pub down: Counter,
    /// Instances that are set aside because live requests to them fail.
    pub ejected: Counter,
    /// Times that an instance was set aside.
    pub ejections: Counter,
    /// Probes of which nothing came.
    pub probes_lost: Counter,
    /// By how much the intervals of probes are stretched to fit their budget: 1000 where it is enough.
    pub probes_stretch: Counter,
    /// Services that protect themselves: more than half of their leases are over or not renewed.
    pub protected: Counter,
    /// Slots of instances that are gone, held until nobody can mean them any more.
    pub retired_slots: Counter,
    /// Words of the host that said something else than they should.
    pub contradictions: Counter,
    /// Milliseconds that the thread came later than it meant to, which count against nobody.
    pub late_ms: Counter,
    /// Counts of quotas in their present periods.
    pub quotas: Counter,
    /// Grants of quotas.
    pub quota_grants: Counter,
    /// Questions that found no room for one more count.
    pub quotas_full: Counter,
}

impl RegistryStats {
    /// Every one of them: its name, what it counts, its value, and whether it goes down too.
    pub fn explained(&self) -> [(&'static str, &'static str, u64, bool); 24] {
        [
            ("commands", "Commands that were applied", self.commands.get(), false),
            ("commands_refused", "Commands that were refused", self.refused.get(), false),
            ("publishes", "Snapshots that were published", self.publishes.get(), false),
            (
                "retired_snapshots",
                "Old snapshots kept for workers that may still read them",
                self.retired_snapshots.get(),
                true,
            ),
            ("instances", "Instances that there are", self.instances.get(), true),
            ("instances_leased", "Instances that have a lease", self.leased.get(), true),
            (
                "registrations",
                "Instances that registered, and were not there",
                self.registered.get(),
                false,
            ),
            ("renewals", "Renewals of leases", self.renewed.get(), false),
            (
                "deregistrations",
                "Instances that went by themselves",
                self.deregistered.get(),
                false,
            ),
            ("expirations", "Instances whose leases ended", self.expired.get(), false),
            (
                "instances_draining",
                "Instances that are drained, or being so",
                self.draining.get(),
                true,
            ),
            ("instances_probed", "Instances that are probed", self.probed.get(), true),
            (
                "instances_down",
                "Instances that are down by their probes, wait for their first, or are held back",
                self.down.get(),
                true,
            ),
            (
                "instances_ejected",
                "Instances that are set aside because live requests to them fail",
                self.ejected.get(),
                true,
            ),
            ("ejections", "Times that an instance was set aside", self.ejections.get(), false),
            ("probes_lost", "Probes of which nothing came", self.probes_lost.get(), false),
            (
                "probes_stretch_thousandths",
                "By how much the intervals of probes are stretched to fit their budget: 1000 where it is enough",
                self.probes_stretch.get(),
                true,
            ),
            (
                "services_protected",
                "Services that protect themselves: more than half of their leases are over or not renewed",
                self.protected.get(),
                true,
            ),
            (
                "retired_slots",
                "Slots of instances that are gone, held until nobody can mean them any more",
                self.retired_slots.get(),
                true,
            ),
            (
                "contradictions",
                "Words of the host that said something else than they should: more than none is a fault to report",
                self.contradictions.get(),
                false,
            ),
            (
                "late_milliseconds",
                "Time that the registry came later than it meant to, which counts against nobody",
                self.late_ms.get(),
                false,
            ),
            ("quota_counts", "Counts of quotas in their present periods", self.quotas.get(), true),
            ("quota_grants", "Grants of quotas", self.quota_grants.get(), false),
            (
                "quotas_full",
                "Questions for more of a quota that found no room for one more count",
                self.quotas_full.get(),
                false,
            ),
        ]
    }
}
