//! What the programs of this package share: `origin`, `floor`, `load`, `compare`, `slow`, `churn` and `live`.
//!
//! The measuring programs stand on their own: nothing here uses coregate's packages, so that a
//! fault in the gateway cannot hide in its own ruler.

pub mod child;
pub mod churn;
pub mod folder;
pub mod frame;
pub mod live;
pub mod loader;
pub mod machine;
pub mod peers;
pub mod point;
pub mod report;
pub mod ring;
pub mod schedule;
pub mod slow;
pub mod sock;
pub mod stats;
pub mod wrk;
