//! Zeroed memory that is not touched before it is used: a large table costs what is used of it. The door of bytemuck.

use bytemuck::Zeroable;

/// So many values, each of zeros.
pub(crate) fn boxed<T: Zeroable>(count: usize) -> Box<[T]> {
    bytemuck::zeroed_slice_box(count)
}
