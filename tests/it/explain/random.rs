//! Random routes as an operator writes them, and random requests. The same seed gives the same.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Numbers that follow from a seed (xorshift64*).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize) % most
    }

    pub fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    /// One of these; the last only so many times of a hundred.
    pub fn seldom_last<'t>(&mut self, of: &[&'t str], of_hundred: usize) -> &'t str {
        let without = usize::from(!self.percent(of_hundred));
        self.one(&of[..of.len() - without])
    }

    /// True so many times of a hundred.
    pub fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }
}

const HOSTS: [&str; 5] = ["*", "a.test", "b.a.test", "*.a.test", "*.test"];
const WORDS: [&str; 4] = ["a", "b", "users", "a-word-of-more-than-16-bytes"];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"];

/// A path of a route: its segments, and what may follow; or an expression.
struct Path {
    segments: Vec<String>,
    tail: &'static str,
    regex: Option<&'static str>,
}

impl Path {
    fn random(dice: &mut Dice) -> Self {
        let segment = |at: usize, dice: &mut Dice| match dice.percent(25) {
            true => format!("{{p{at}}}"),
            false => dice.one(&WORDS).to_owned(),
        };
        let segments: Vec<_> = (0..dice.below(4)).map(|at| segment(at, dice)).collect();
        let tail = if segments.is_empty() { "/*" } else { dice.one(&["", "", "/*", "/{rest*}"]) };
        // What stands in the list is 'static.
        let tail = ["", "/*", "/{rest*}"].into_iter().find(|known| *known == tail).unwrap();
        Self { segments, tail, regex: None }
    }

    fn by_expression(dice: &mut Dice) -> Self {
        let regex = dice.one(&["^/a", "/b$", "^/users/[^/]+/?$", "(a|b)/(a|b)", "%7E"]);
        Self { segments: Vec::new(), tail: "/*", regex: Some(regex) }
    }

    fn text(&self) -> String {
        let segments: String = self.segments.iter().map(|one| format!("/{one}")).collect();
        segments + self.tail
    }

    /// A template with all that it takes, in another order.
    fn template(&self) -> String {
        let mut text = "/new".to_owned();
        for name in self.segments.iter().rev().filter(|one| one.starts_with('{')) {
            let _ = write!(text, "/{name}");
        }
        text + match self.tail {
            _ if self.regex.is_some() => "",
            "/*" => "/{*}",
            "/{rest*}" => "/x/{rest}",
            _ => "",
        }
    }

    /// Its first literal segments.
    fn prefix(&self) -> Option<String> {
        let literals = self.segments.iter().take_while(|one| !one.starts_with('{'));
        let text: String = literals.map(|one| format!("/{one}")).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// A configuration with so many routes before these services, which are called `s0`, `s1`, ... No two routes tie: each has a
/// priority of its own.
pub fn config(dice: &mut Dice, routes: usize, services: &[&str]) -> String {
    let mut text = "[runtime]\ncores = 1\n[listeners.default]\nbind = \"127.0.0.1:0\"\n\
                    expose_reasons = true\nlimits = { body = \"1KiB\" }\n"
        .to_owned();
    for (at, address) in services.iter().enumerate() {
        let _ = write!(text, "[services.s{at}]\ninstances = [{address:?}]\n");
    }
    let mut places: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for number in 0..routes {
        let host = dice.one(&HOSTS);
        let path = if dice.percent(12) { Path::by_expression(dice) } else { Path::random(dice) };
        let mut keys = action(dice, number, &path, services.len());
        keys.push(format!("name = \"r{number}\""));
        keys.push(format!("priority = {number}"));
        keys.extend(path.regex.map(|regex| format!("path_regex = \"{regex}\"")));
        let methods =
            if dice.percent(15) { dice.one(&["GET ", "POST,BREW ", "HEAD "]) } else { "" };
        keys.extend(when(dice, methods.is_empty()));
        let table = format!("{{ {} }}", keys.join(", "));
        places.entry((host, format!("{methods}{}", path.text()))).or_default().push(table);
    }
    text += "[routes]\n\"/never\" = \"s0\"\n";
    let mut last = "";
    for ((host, path), tables) in &places {
        if *host != last {
            let _ = writeln!(text, "[routes.{host:?}]");
            last = host;
        }
        let value = match tables.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let _ = writeln!(text, "{path:?} = {value}");
    }
    text
}

/// What becomes of the requests of a route, so that it shows which one it was.
fn action(dice: &mut Dice, number: usize, path: &Path, services: usize) -> Vec<String> {
    let to = format!("to = \"s{}\"", dice.below(services));
    let mut keys = match dice.below(10) {
        0 => return vec![format!("redirect = \"/r{number}{{path}}\"")],
        1 => {
            let status = dice.one(&["301", "302", "303", "307", "308"]);
            let to = format!("https://{{host}}/r{number}{}", path.template());
            return vec![format!("redirect = {{ to = \"{to}\", status = {status} }}")];
        }
        2 => {
            let status = dice.one(&["200", "204", "403", "404"]);
            let body = if status == "204" { "" } else { ", body = \"x\"" };
            let headers = format!("headers = {{ x-route = \"r{number}\" }}");
            return vec![format!("respond = {{ status = {status}{body}, {headers} }}")];
        }
        3 => vec!["split = { s0 = \"30%\", s1 = \"69.5%\", s2 = \"0.5%\" }".to_owned()],
        4 | 5 => vec![to, format!("rewrite = \"{}\"", path.template())],
        6 | 7 => {
            let strip = path.prefix().map(|prefix| format!("strip_prefix = \"{prefix}\""));
            [to].into_iter().chain(strip).collect()
        }
        _ => vec![to],
    };
    if dice.percent(20) {
        keys.push("limits = { body = \"5B\" }".to_owned());
    }
    if dice.percent(20) {
        keys.push("timeout = { first_byte = \"50s\" }".to_owned());
    }
    keys
}

/// What else a request must have.
fn when(dice: &mut Dice, methods: bool) -> Option<String> {
    const VALUES: [&str; 6] = [
        "\"1\"",
        "\"a b\"",
        "{ prefix = \"1\" }",
        "{ present = true }",
        "{ present = false }",
        "{ regex = \"^[12]+$\" }",
    ];
    let mut parts = Vec::new();
    if methods && dice.percent(30) {
        parts.push(format!("method = [\"{}\", \"POST\"]", dice.one(&["GET", "HEAD", "BREW"])));
    }
    if dice.percent(25) {
        parts.push(format!("header = {{ x-beta = {} }}", dice.one(&VALUES)));
    }
    if dice.percent(25) {
        parts.push(format!("query = {{ v = {} }}", dice.one(&VALUES)));
    }
    (!parts.is_empty()).then(|| format!("when = {{ {} }}", parts.join(", ")))
}

/// A request, as a client means it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    /// None: HTTP/1.0 without one.
    pub host: Option<&'static str>,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: usize,
}

impl Request {
    pub fn random(dice: &mut Dice) -> Self {
        const HEARD: [&str; 11] = [
            "a.test",
            "A.TEST:8080",
            "b.a.test",
            "b.a.test.",
            "c.b.a.test",
            "x.test",
            "d.org",
            "test",
            "127.0.0.1",
            "[::1]:80",
            "a..b",
        ];
        const ODD: [&str; 9] = ["", ".", "..", "%61", "%2f", "c", "%7e|", "users%2Fa", "%zz"];
        let method = METHODS[dice.below(METHODS.len())];
        // The last is refused.
        let host = dice.seldom_last(&HEARD, 2);
        let host = (!dice.percent(4)).then_some(host);
        let mut target = String::new();
        for _ in 0..=dice.below(4) {
            let odd = dice.seldom_last(&ODD, 10);
            let word = if dice.percent(15) { odd } else { dice.one(&WORDS) };
            let _ = write!(target, "/{word}");
        }
        if dice.percent(50) {
            target += "?";
            target += dice.one(&["", "v=1", "v=12&w", "v=a+b", "%76=a%20b", "w=1&v=3", "v", "w|"]);
        }
        if method == "OPTIONS" && dice.percent(10) {
            target = "*".to_owned();
        }
        let mut headers = Vec::new();
        for _ in 0..dice.below(3) {
            let name = dice.one(&["x-beta", "X-Beta", "x-other"]);
            headers.push((name.to_owned(), dice.one(&["1", "a b", "12", "", "3"]).to_owned()));
        }
        if dice.percent(3) {
            let odd = [("max-forwards", "0"), ("expect", "x"), ("x y", "1"), ("te", "trailers")];
            let (name, value) = odd[dice.below(odd.len())];
            headers.push((name.to_owned(), value.to_owned()));
        }
        let body = if dice.percent(20) { [1, 6, 2_000][dice.below(3)] } else { 0 };
        if body > 0 {
            headers.push(("content-length".to_owned(), body.to_string()));
        }
        Self { method, host, target, headers, body }
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> String {
        let Self { method, host, target, headers, body } = self;
        let mut text = match host {
            Some(host) => format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n"),
            None => format!("{method} {target} HTTP/1.0\r\n"),
        };
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text + "\r\n" + &"x".repeat(*body)
    }

    /// As `explain` is asked for it.
    pub fn url(&self) -> String {
        match self.host {
            Some(host) if self.target.starts_with('/') => format!("http://{host}{}", self.target),
            _ => self.target.clone(),
        }
    }

    /// The header fields, with a host where the URL has none.
    pub fn fields(&self) -> Vec<(String, String)> {
        let host = self.host.filter(|_| !self.target.starts_with('/'));
        let host = host.map(|host| ("host".to_owned(), host.to_owned()));
        host.into_iter().chain(self.headers.clone()).collect()
    }
}
