//! `[defaults]`: what stands in for keys that services, listeners and routes lack.
//!
//! What it holds is read here, whether anything takes it over or not; the tables that take it over read it again, and what
//! is wrong with it is said once, because it is said of the same place in the same words.

use super::policies::Policies;
use super::services::Declared;
use super::{listeners, routes, services};
use crate::codes;
use crate::fields::Fields;
use crate::language::{self, known};
use crate::report::{Diagnostic, Faults};

/// A table of `[defaults]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Service,
    Listener,
    Route,
}

impl Section {
    pub(crate) const ALL: [Self; 3] = [Self::Service, Self::Listener, Self::Route];

    /// Its key in `[defaults]`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Listener => "listener",
            Self::Route => "route",
        }
    }

    /// Where the tables stand that it is for.
    pub(crate) fn tables(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::Listener => "listeners",
            Self::Route => "routes",
        }
    }

    /// `defaults.service`.
    pub(crate) fn path(self) -> String {
        format!("defaults.{}", self.key())
    }

    /// What makes one of its tables what it is, so that no two can have it from here.
    fn own(self) -> &'static [&'static str] {
        match self {
            Self::Service => &["extends", "instances", "register"],
            Self::Listener => &["bind", "tcp"],
            Self::Route => &[
                "name",
                "path_regex",
                "priority",
                "redirect",
                "respond",
                "rewrite",
                "split",
                "strip_prefix",
                "to",
                "when",
            ],
        }
    }
}

/// What means nothing for a route that leads to no service, and is not taken over there.
pub(crate) const FOR_SERVICES: [&str; 3] = ["rewrite", "strip_prefix", "timeout"];

/// What means nothing for a route that does not ask who calls, and is not taken over where one says so.
pub(crate) const FOR_KNOWN: [&str; 2] = ["allow", "deny"];

/// Whether a key may stand in for one that a table lacks.
pub(crate) fn may(section: Section, key: &str) -> bool {
    !section.own().contains(&key)
}

/// Reports what is wrong with `[defaults]`.
pub(super) fn read<'t>(
    root: &Fields<'t>,
    declared: &Declared<'t>,
    policies: &Policies<'t>,
    faults: &mut Faults,
) {
    let Some(defaults) = root.get("defaults").and_then(|item| item.table(faults)) else { return };
    defaults.check(known!(language::DEFAULTS), faults);
    for section in Section::ALL {
        let Some(item) = defaults.get(section.key()) else { continue };
        let Some(fields) = item.table(faults) else { continue };
        let own = fields.items().into_iter().filter(|item| !may(section, item.key));
        for item in own {
            let message = format!("`{}`: a {} has its own", item.path(), section.key());
            faults.push(Diagnostic::error(codes::NO_DEFAULT, item.span(), message));
        }
        let fields = fields.without(section.own());
        match section {
            Section::Service => services::check_terms(&fields, policies, faults),
            Section::Listener => {
                listeners::plan(&item, &fields, declared, faults);
            }
            Section::Route => routes::check_terms(&fields, policies, faults),
        }
    }
}
