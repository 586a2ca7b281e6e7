//! Dense ids: small integers that index tables, one type each so that they cannot be mixed up.

use std::fmt;

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident($of:ty), $letter:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $of);

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
    RouteId(u16), "r"
}
dense_id! {
    /// A service of the snapshot: at most [`limits::SERVICES`](super::limits::SERVICES).
    ServiceId(u16), "s"
}
dense_id! {
    /// A listener of the snapshot: at most [`limits::LISTENER_NAMES`](super::limits::LISTENER_NAMES).
    ListenerId(u16), "l"
}
dense_id! {
    /// An address that a process listens on, with its sockets, of which every worker has one: never given twice in one process.
    SocketId(u32), "k"
}
dense_id! {
    /// A worker: one pinned thread.
    WorkerId(u16), "w"
}
dense_id! {
    /// A place for an instance in the tables of the host, used by one instance after another: at most
    /// [`limits::INSTANCE_SLOTS`](super::limits::INSTANCE_SLOTS). Which of them is told by a generation
    /// ([`cells`](super::cells)).
    InstanceSlot(u32), "i"
}
dense_id! {
    /// A place for what is left of a quota's grant, used by one key after another: at most
    /// [`limits::QUOTA_KEYS`](super::limits::QUOTA_KEYS). Which of them is told by a stamp
    /// ([`Allowance`](super::cells::Allowance)).
    QuotaSlot(u32), "q"
}
