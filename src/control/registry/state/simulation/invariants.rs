//! What must be so after every step; the numbers are those of the module above.

use super::*;

impl World {
    #[track_caller]
    pub(super) fn check(&mut self) {
        self.state.directory.assert_whole();
        self.state.health.assert_whole(&Words::new(&self.cells, true));
        assert_eq!(self.state.contradictions(), 0);
        let views: Vec<_> = SERVICES.iter().map(|name| self.views(name)).collect();
        for (service, views) in views.iter().enumerate() {
            let places: BTreeSet<_> = views.iter().map(|view| &view.address).collect();
            assert_eq!(places.len(), views.len(), "invariant 4: one record an address");
            views.iter().for_each(|view| self.check_view(service, view));
            self.check_ejections(service);
        }
        for one in &self.actors {
            self.check_actor(one, &views[one.service]);
        }
    }

    fn views(&self, service: &str) -> Vec<InstanceView> {
        let page = crate::registry::order::Page::default();
        self.state.instances_of(service, &page, self.now).unwrap().instances
    }

    #[track_caller]
    fn check_view(&mut self, service: usize, view: &InstanceView) {
        let member = self.state.compiler.member(SERVICES[service], &view.address.parse().unwrap());
        let member = member.expect("who is shown as up is an instance");
        let takes = self.cells.verdict(member.slot).load().takes_requests(member.generation);
        let said = view.belief.rsplit_once(" -> ").unwrap().1.starts_with("serving");
        assert_eq!(said, takes, "invariant 5: {}", view.belief);
        let Some(lease) = view.lease.filter(|_| view.kind == Kind::Registered) else { return };
        let late = Duration::from_millis(lease.late_ms.unwrap_or_default());
        for (what, is_so) in [
            ("was late", lease.late_ms.is_some()),
            ("was protected", lease.protected),
            ("was late and served", lease.late_ms.is_some() && takes),
            (
                "served without its whole share",
                takes && view.health.as_ref().is_some_and(|one| one.share.is_some()),
            ),
        ] {
            *self.happened.entry(what).or_default() += u32::from(is_so);
        }
        if lease.protected {
            assert!(self.state.directory.is_protected(SERVICES[service]) || late < TTL * 6);
        }
    }

    #[track_caller]
    fn check_ejections(&mut self, service: usize) {
        let id = self.state.compiler.service_named(SERVICES[service]).unwrap();
        let own = self.members().into_iter().filter(|(one, ..)| *one == service);
        let own: Vec<_> = own.map(|(.., member)| self.cells.verdict(member.slot).load()).collect();
        let marked = own.iter().filter(|word| word.has(Mark::Ejected)).count();
        assert_eq!(self.cells.ejections(id).taken(), marked as u64, "invariant 6: a permit a mark");
        let terms = Ejecting::new(&self.state.compiler.plan().services[service].outlier);
        let most = (terms.most(own.len()) as usize).max(self.marked[service]);
        assert!(marked <= most, "invariant 6: {marked} of {} are set aside", own.len());
        self.marked[service] = marked;
    }

    #[track_caller]
    fn check_actor(&self, one: &Actor, views: &[InstanceView]) {
        let place = address(one.port).to_string();
        let view = views.iter().find(|view| view.address == place);
        let Some(view) = view.filter(|view| one.of_file || view.id == one.id.to_string()) else {
            return;
        };
        let takes = view.health.as_ref().is_some_and(|health| health.serving);
        let slack = STEP * 3 + limits::LEASE_STEP;
        if let Some(heard) = one.heard {
            let silent = self.now.saturating_sub(heard);
            let longest = TTL * (1 + limits::LATE_PERIODS) + slack;
            let protected = view.lease.is_some_and(|lease| lease.protected);
            assert!(silent <= longest || protected, "invariant 1: {silent:?} {}", view.belief);
        }
        let so_long = self.now.saturating_sub(one.so_since);
        let probed = one.service == 0;
        if probed && !one.answers && so_long > PROBED_WITHIN * 3 + slack {
            assert!(!takes, "invariant 2: {so_long:?} {}", view.belief);
        }
        let heard = one.of_file || one.heard.is_some_and(|heard| self.now - heard <= TTL);
        let aside = view.health.as_ref().is_some_and(|health| health.traffic.ejected_ms.is_some());
        if heard && one.answers && !aside && so_long > PROBED_WITHIN * 3 + slack {
            assert!(takes, "invariant 3: {so_long:?} {}", view.belief);
        }
    }
}
