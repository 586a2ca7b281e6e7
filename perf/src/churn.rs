//! What thousands of changes of membership a second cost the workers, and control.
//!
//! [`gateway`] writes a configuration with a hundred thousand instances and looks at the process that has it, [`ask`] speaks to
//! its admin listener, [`changes`] makes the changes, [`renewals`] renew leases, [`filler`] makes runs alike in what is not asked about, [`probe`] sees when one is routed by, [`run`] measures with and without
//! them, [`report`] puts the runs together and checks the bars. The requests come from the program `load`.

pub mod ask;
pub mod changes;
pub mod filler;
pub mod gateway;
pub mod probe;
pub mod renewals;
pub mod report;
pub mod run;
