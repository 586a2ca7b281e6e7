//! The codes of diagnostics: one a kind, never reused. The table in the crate's docs explains them.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $code;)*
        #[cfg(test)]
        pub(crate) const ALL: &[&str] = &[$($code),*];
    };
}

codes! {
    /// The file cannot be read.
    UNREADABLE = "E0001";
    /// The file is not UTF-8.
    NOT_UTF8 = "E0002";
    /// Not TOML.
    SYNTAX = "E0003";
    /// A key or table that stands twice.
    DUPLICATE_KEY = "E0004";
    /// A key that nobody knows.
    UNKNOWN_KEY = "E0005";
    /// A part of the language that this build lacks.
    NOT_SUPPORTED = "E0006";
    /// A value of the wrong type.
    WRONG_TYPE = "E0007";
    /// Something that must be there is not.
    MISSING = "E0008";
    /// A number, a time or a size out of its range.
    OUT_OF_RANGE = "E0009";
    /// Not a time.
    TIME = "E0010";
    /// Not a size.
    SIZE = "E0011";
    /// Not one of the words that may stand here.
    WORD = "E0012";
    /// Not a choice of cores.
    CORES = "E0013";
    /// Not an address.
    ADDRESS = "E0014";
    /// Not a host.
    HOST = "E0015";
    /// Not a path.
    PATH = "E0016";
    /// Not a name.
    NAME = "E0017";
    /// Two routes that may take the same request, of which neither comes first.
    ROUTE_TWICE = "E0018";
    /// An address or a source of instances that stands twice.
    ADDRESS_TWICE = "E0019";
    /// A route, a listener or a token for a service that does not exist.
    UNKNOWN_SERVICE = "E0020";
    /// Two keys that cannot stand together.
    CONFLICT = "E0021";
    /// More of something than there may be.
    TOO_MANY = "E0022";
    /// Not a network.
    NETWORK = "E0023";
    /// An admin address that others than this host reach.
    NOT_LOOPBACK = "E0024";
    /// A secret that stands in the file, or does not say where it is.
    SECRET = "E0025";
    /// The same thing in two files.
    TWO_FILES = "E0026";
    /// What may not stand in a file that is included.
    NOT_INCLUDED = "E0027";
    /// An `include` that leads nowhere.
    INCLUDE = "E0028";
    /// A file that is included twice, or includes itself.
    INCLUDED_TWICE = "E0029";
    /// A key that cannot have a default.
    NO_DEFAULT = "E0030";
    /// Services that extend each other.
    CIRCLE = "E0031";
    /// Two routes, or a rate and a quota, that are called the same.
    NAME_TWICE = "E0040";
    /// Not a method.
    METHOD = "E0041";
    /// Not a regular expression, or too large a one.
    REGEX = "E0042";
    /// Not the name or the value of a header field.
    HEADER = "E0043";
    /// Not a percent.
    PERCENT = "E0044";
    /// Shares that are not 100 % together.
    SHARES = "E0045";
    /// Not a template for a path or an address.
    TEMPLATE = "E0046";
    /// Not a status that may stand here.
    STATUS = "E0047";
    /// A header field that the gateway alone writes.
    OWN_HEADER = "E0048";
    /// A prefix that the path does not begin with.
    PREFIX = "E0049";
    /// Not a request.
    REQUEST = "E0050";
    /// A route that does not exist.
    UNKNOWN_ROUTE = "E0051";
    /// Not a source of instances.
    SOURCE = "E0060";
    /// Not a probe.
    PROBE = "E0061";
    /// A way to authenticate, or a rate, that does not exist.
    UNKNOWN_POLICY = "E0070";
    /// Not a rate.
    RATE = "E0071";
    /// Nothing that a rate tells buckets apart by.
    PER = "E0072";
    /// Not a point in time.
    MOMENT = "E0073";
    /// The same thing twice in a list.
    LISTED_TWICE = "E0074";
    /// A key of two consumers.
    SAME_KEY = "E0075";
    /// A route that asks who calls, and does not find out.
    NOBODY_KNOWN = "E0076";
    /// A rate that never admits a request.
    NEVER_ADMITS = "E0077";
    /// A service that nothing uses.
    UNUSED_SERVICE = "W0001";
    /// A path that ends in a slash and takes nothing below it.
    SLASH_ALONE = "W0002";
    /// A path that is not in normal form.
    NOT_NORMAL = "W0003";
    /// Routes, where no listener reads requests.
    UNUSED_ROUTES = "W0004";
    /// A pattern that no file matches.
    NO_FILE = "W0005";
    /// A route whose requests another takes first.
    NEVER_REACHED = "W0010";
    /// A redirect that leads back to itself.
    REDIRECT_LOOP = "W0011";
    /// A method that is hardly meant.
    ODD_METHOD = "W0012";
    /// A rewrite or a redirect that sends all paths to one.
    ONE_PLACE = "W0013";
    /// A status in quotes, which is a body.
    STATUS_TEXT = "W0014";
    /// Registered instances of which nothing says whether they answer.
    NEVER_ASKED = "W0015";
    /// More probes a second than are sent.
    TOO_MANY_PROBES = "W0016";
    /// Probes that ask for an id, of instances that have none.
    NO_ID = "W0017";
    /// A pattern that no service matches.
    NO_SERVICE = "W0018";
    /// A consumer without a key.
    NO_KEY = "W0020";
    /// A consumer or a group that the file does not have.
    NOBODY = "W0021";
    /// A way to authenticate, or a rate, that nothing uses.
    UNUSED_POLICY = "W0022";
    /// A key that has expired.
    EXPIRED = "W0023";
    /// Clients are told apart by addresses that they do not have.
    NO_ADDRESSES = "W0024";
}
