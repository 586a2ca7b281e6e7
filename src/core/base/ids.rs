//! Dense ids: small integers that index tables, one type each so that they cannot be mixed up.

use std::fmt;

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        dense_id! { $(#[$doc])* $name(u16), $letter }
    };
    ($(#[$doc:meta])* $name:ident($bits:ty), $letter:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $bits);

        impl $name {
            /// The id as an index into a table by this id.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }
    };
}

dense_id! {
    /// A route of the snapshot: at most [`limits::ROUTES`](super::limits::ROUTES).
    RouteId, "r"
}
dense_id! {
    /// A service of the snapshot: at most [`limits::SERVICES`](super::limits::SERVICES).
    ServiceId, "s"
}
dense_id! {
    /// A listener, in the order of the configuration.
    ListenerId, "l"
}
dense_id! {
    /// A worker: one pinned thread.
    WorkerId, "w"
}
dense_id! {
    /// A place for an instance in the tables of the host, used by one instance after another: at most
    /// [`limits::INSTANCE_SLOTS`](super::limits::INSTANCE_SLOTS). Which of them is told by a generation
    /// ([`cells`](super::cells)).
    InstanceSlot(u32), "i"
}
