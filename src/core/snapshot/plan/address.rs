//! Addresses to listen on and to connect to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// An address to listen on or to connect to: `10.0.0.1:9000`, `[::1]:9000` or `unix:/run/app.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address.
    #[error("{0:?}: expected ADDRESS:PORT, [V6-ADDRESS]:PORT or unix:/PATH")]
    Address(String),
    /// A host name where an address must stand.
    #[error("{0:?}: expected an IP address and port; names are not looked up")]
    HostName(String),
    /// The path of a Unix socket that is empty, relative or longer than the kernel takes.
    #[error("{0:?}: the path of a Unix socket is absolute and has at most 107 bytes")]
    UnixPath(String),
}

impl Address {
    /// Whether no instance can be there, only whoever asks: see [`is_nobodys`].
    pub fn is_nobodys(&self) -> bool {
        matches!(self, Self::Tcp(address) if is_nobodys(address.ip()))
    }
}

/// Whether an address is no host's: unspecified, multicast, broadcast. What a server binds to (`0.0.0.0`) is often taken for its
/// address; who connects there reaches itself.
pub fn is_nobodys(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            // sockaddr_un holds 108 bytes with the NUL.
            if !path.starts_with('/') || path.len() > 107 || path.contains('\0') {
                return Err(AddressError::UnixPath(text.into()));
            }
            return Ok(Self::Unix(path.into()));
        }
        match text.parse() {
            Ok(address) => Ok(Self::Tcp(address)),
            Err(_) => match text.rsplit_once(':') {
                Some((host, port))
                    if host.starts_with(|c: char| c.is_ascii_alphabetic())
                        && !host.contains(':')
                        && port.parse::<u16>().is_ok() =>
                {
                    Err(AddressError::HostName(text.into()))
                }
                _ => Err(AddressError::Address(text.into())),
            },
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["127.0.0.1:80", "[::1]:9000", "unix:/run/a.sock"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        assert!(matches!("localhost:80".parse::<Address>(), Err(AddressError::HostName(_))));
        for bad in ["", "127.0.0.1", ":80", "unix:a", "1.2.3.4:99999", "a:b:c"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_at_which_nobody_is() {
        let nobodys = |text: &str| text.parse::<Address>().unwrap().is_nobodys();
        for of_none in [
            "0.0.0.0:80",
            "[::]:80",
            "[::ffff:0.0.0.0]:80",
            "224.0.0.1:80",
            "[ff02::1]:80",
            "255.255.255.255:80",
            "[::ffff:255.255.255.255]:80",
        ] {
            assert!(nobodys(of_none), "{of_none}");
        }
        for of_one in ["127.0.0.1:80", "10.255.255.255:80", "[::1]:80", "[fe80::1%2]:80", "unix:/a"]
        {
            assert!(!nobodys(of_one), "{of_one}");
        }
    }
}
