//! What goes over the wire: bytes in, bytes out.

mod bodies;
mod heads;
mod hostile;
mod interim;
mod limits;
mod messages;
mod paths;
mod pool;
mod rejects;
mod responses;
mod routing;
