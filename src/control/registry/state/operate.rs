//! What operators do to instances, whether these have registered or the configuration names them.

use std::time::Duration;

use coregate_core::snapshot::plan::Address;

use super::State;
use crate::registry::log::{Command, Detail, Refused};
use crate::registry::order::{Action, Expected, Operation, OrderError};

impl State {
    /// Carries out what an operator wants at `now`. An id is looked for before an address.
    pub(super) fn operate(
        &mut self,
        operation: Operation,
        now: Duration,
    ) -> Result<Detail, Refused> {
        let Operation { service, instance, expected, action } = operation;
        self.expect(&service, &instance, &expected)?;
        let registered = self.directory.address_of(&service, &instance).cloned();
        let address: Address = match registered {
            Some(address) => address,
            None if self.directory.admits(&service).is_none() => {
                return Err(OrderError::NoSuchService(service).into());
            }
            // It may be one of the configuration; whatever is neither is an instance that there is not.
            None => instance.parse().map_err(|_| OrderError::NoSuchInstance {
                service: service.clone(),
                id: instance,
            })?,
        };
        let at = address.clone();
        let command = match action {
            Action::Drain { deadline } => Command::Drain { service, address, deadline },
            Action::Enable => Command::Enable { service, address },
        };
        match self.apply(command, now)? {
            Detail::Instance(slot) => Ok(Detail::Operated { slot, address: at }),
            other => Ok(other),
        }
    }

    /// Refuses what expects an instance to be like it is not.
    pub(super) fn expect(
        &self,
        service: &str,
        id: &str,
        expected: &Expected,
    ) -> Result<(), OrderError> {
        if *expected == Expected::Anything {
            return Ok(());
        }
        let revision = self.directory.revision_of(service, id);
        if expected.holds(revision) { Ok(()) } else { Err(OrderError::Changed(revision)) }
    }
}
