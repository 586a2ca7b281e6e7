//! What operators do to instances, and what is expected of instances.

use std::time::Duration;

use coregate_core::snapshot::compile::Member;
use coregate_core::snapshot::plan::Address;

use super::State;
use crate::registry::log::{Detail, Refused};
use crate::registry::order::{Expected, Order, OrderError};

impl State {
    /// Carries out an order at `now`, and says where its instance is.
    /// Its id may be an address.
    pub(super) fn operate(&mut self, mut order: Order, now: Duration) -> Result<Detail, Refused> {
        let service = order.service.clone();
        if self.directory.address_of(&service, &order.id).is_none()
            && let Ok(address) = order.id.parse()
            && let Some(id) = self.directory.id_at(&service, &address)
        {
            order.id = id.to_string();
        }
        let ordered = self.order(order, now)?;
        let address: Result<Address, _> = ordered.instance.address.parse();
        // It is the text of one.
        let Ok(address) = address else {
            return Err(OrderError::NoSuchInstance { service, id: ordered.instance.id }.into());
        };
        let Member { slot, registered, .. } = self.compiler.member(&service, &address)?;
        // What is said of an instance of the file, or of one that was looked up, is not stored.
        Ok(Detail::Operated { slot, address, durable: registered })
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
