//! What a service says that is not wrong, and hardly meant: instances that nobody looks at, probes that are too many or ask for
//! what there is not.

use std::ops::Range;
use std::time::Duration;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::{Admission, Probe, ServicePlan};

use crate::codes;
use crate::fields::Fields;
use crate::item::{Value, shown};
use crate::report::{Diagnostic, Faults};
use crate::units;

/// Warns of what one service says.
pub(super) fn of(plan: &ServicePlan, fields: &Fields<'_>, faults: &mut Faults) {
    let registers = plan.register != Admission::Nobody;
    if let Some(register) = fields.get("register").filter(|_| registers && is_blind(plan, fields)) {
        let message = format!(
            "service {}: nothing says whether those who register still answer: no `health`, and `outlier` is off",
            shown(&plan.name)
        );
        let fault = Diagnostic::warning(codes::NEVER_ASKED, register.span(), message);
        let suggestion = "write health = \"/healthz\", or health = \"tcp\", or remove outlier";
        faults.push(fault.suggest(suggestion.to_owned()));
    }
    let health = fields.get("health").and_then(|item| item.fields());
    let asked = matches!(&plan.health, Some(check) if matches!(&check.probe, Probe::Http(probe) if probe.instance_id));
    if let Some(item) = health.and_then(|health| health.get("instance_id"))
        && asked
        && !registers
    {
        let message = format!(
            "{}: an id is what an instance registers with, and none may register in service {}",
            shown(item.path()),
            shown(&plan.name)
        );
        let fault = Diagnostic::warning(codes::NO_ID, item.span(), message);
        faults.push(fault.suggest("write register = true, or remove instance_id".to_owned()));
    }
}

/// Whether neither probes nor live requests are looked at. What is wrong with either has been said.
fn is_blind(plan: &ServicePlan, fields: &Fields<'_>) -> bool {
    let unasked = match fields.get("health").map(|item| item.value()) {
        None | Some(Value::Other) => plan.health.is_none(),
        Some(Value::String(_) | Value::Table(_) | Value::Array(_)) => false,
    };
    unasked && plan.outlier.failures == 0 && plan.outlier.rate.is_none()
}

/// A service whose instances are probed.
#[derive(Debug)]
pub(super) struct Probed {
    /// Probes in a thousand seconds.
    rate: u64,
    instances: usize,
    place: Range<usize>,
}

/// What a service asks of the budget of probes, if anything.
pub(super) fn probed(plan: &ServicePlan, fields: &Fields<'_>) -> Option<Probed> {
    let (check, item) = plan.health.as_ref().zip(fields.get("health"))?;
    let every = u64::try_from(check.every.as_millis()).unwrap_or(u64::MAX).max(1);
    let place = item.fields().and_then(|health| health.get("every")).unwrap_or(item).span();
    let instances = plan.instances.len();
    Some(Probed { rate: instances as u64 * 1_000_000 / every, instances, place })
}

/// Warns where more probes are due than are sent, at the service that asks for most of them.
pub(super) fn too_many_probes(probed: &[Probed], faults: &mut Faults) {
    let rate = probed.iter().map(|one| one.rate).sum::<u64>() / 1_000;
    let most = u64::from(limits::PROBES_PER_SECOND);
    let Some(first) = probed.iter().max_by_key(|one| one.rate).filter(|_| rate > most) else {
        return;
    };
    let instances: usize = probed.iter().map(|one| one.instances).sum();
    let message = format!(
        "{instances} instances are to be probed {rate} times a second in all: at most {most} probes are sent, and each comes later"
    );
    let fault = Diagnostic::warning(codes::TOO_MANY_PROBES, first.place.clone(), message);
    let enough = (instances as u64).div_ceil(most).max(1);
    let every = units::show_duration(Duration::from_secs(enough));
    faults.push(fault.suggest(format!("write every = \"{every}\" or more")));
}
