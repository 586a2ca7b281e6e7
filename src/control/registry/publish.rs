//! Publishing snapshots: the door of arc-swap on the control side. One pointer in the whole process (rule 4).

use std::sync::Arc;

use arc_swap::ArcSwap;
use coregate_core::snapshot::Snapshot;
use coregate_core::snapshot::compile::{CompileError, compile};
use coregate_core::snapshot::plan::Plan;

/// Owns the pointer that workers read.
#[derive(Debug)]
pub struct Publisher {
    pointer: Arc<ArcSwap<Snapshot>>,
}

impl Publisher {
    /// Compiles the first snapshot and publishes it.
    pub fn new(plan: &Plan) -> Result<Self, Vec<CompileError>> {
        Ok(Self { pointer: Arc::new(ArcSwap::from_pointee(compile(plan, 1)?)) })
    }

    /// The pointer, for a worker.
    pub fn pointer(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.pointer)
    }
}
