//! Reading the files of a configuration: the one that is named, and what it includes. The only door of `glob`.
//!
//! `include` names files, relative to the file that it stands in; `*` in the last part of a name takes any characters, and
//! what it takes is read in the order of the names. Each file is read once: a circle, or a file that two include, is an error.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use coregate_core::base::limits;
use glob::{MatchOptions, Pattern};

use crate::codes;
use crate::fields::Fields;
use crate::files::Files;
use crate::item::{Value, plain, quoted};
use crate::node::Table;
use crate::report::{Diagnostic, Faults};

/// The key.
pub(crate) const INCLUDE: &str = "include";

/// The files that a configuration was read from: when one of them changes, or there is another, it may say something else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    files: Vec<PathBuf>,
    patterns: Vec<PathBuf>,
}

impl Inputs {
    /// The main file.
    pub fn main(&self) -> Option<&Path> {
        self.files.first().map(PathBuf::as_path)
    }

    /// Those that were read, or could not be, the main one first; then those that match a pattern now and did not. All paths
    /// are absolute and stand once. Blocks.
    pub fn now(&self) -> Vec<PathBuf> {
        let mut known: HashSet<_> = self.files.iter().cloned().collect();
        let matches =
            self.patterns.iter().flat_map(|pattern| matching(pattern).unwrap_or_default());
        let new = matches.filter(|path| known.insert(path.clone())).take(limits::CONFIG_FILES);
        self.files.iter().cloned().chain(new).collect()
    }
}

/// Reads the file at `path` and what it includes. Blocks.
pub(crate) fn load(path: &Path, faults: &mut Faults) -> Files {
    let mut reader = Reader {
        files: Files::default(),
        faults,
        chain: Vec::new(),
        seen: HashMap::new(),
        bytes: 0,
        elements: 0,
        followed: 0,
        known: HashSet::new(),
        full: false,
    };
    reader.main(path);
    reader.files
}

/// A file that is being read, by another that is.
struct Link {
    path: PathBuf,
    name: String,
    /// Where it is included; none for the main file.
    place: Option<Range<usize>>,
}

struct Reader<'f> {
    files: Files,
    faults: &'f mut Faults,
    /// The main file, what it includes, what that includes.
    chain: Vec<Link>,
    /// Where each file is included first.
    seen: HashMap<PathBuf, Option<Range<usize>>>,
    bytes: u64,
    /// The elements of `include` that were followed.
    elements: usize,
    /// The files that they name, and all paths of them.
    followed: usize,
    known: HashSet<PathBuf>,
    /// There are too many, which was said.
    full: bool,
}

impl Reader<'_> {
    fn main(&mut self, path: &Path) {
        let name = named(path);
        let most = limits::CONFIG_FILE_BYTES;
        self.files.inputs.files.push(absolute(path));
        let message = match read(path, most) {
            Ok(Some(bytes)) => {
                let canonical = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
                return self.add(Link { path: canonical, name, place: None }, path, bytes);
            }
            Ok(None) => format!("{name} is too large: expected at most {most} bytes"),
            Err(why) => format!("cannot read {name}: {why}"),
        };
        self.faults.push(Diagnostic::error(codes::UNREADABLE, None, message));
        self.files.lost(&name);
    }

    /// Takes a file in, and what it includes.
    fn add(&mut self, link: Link, path: &Path, bytes: Vec<u8>) {
        self.bytes += bytes.len() as u64;
        self.seen.insert(link.path.clone(), link.place.clone());
        let included = link.place.is_some();
        let wanted = self.files.add(&link.name, bytes, included, self.faults);
        self.chain.push(link);
        let folder = path.parent().unwrap_or(Path::new(""));
        for (text, place) in wanted {
            if self.full {
                break;
            }
            self.elements += 1;
            if self.elements > limits::INCLUDES {
                let most = limits::INCLUDES;
                self.too_many(place, format!("more than {most} elements of `include`"));
                break;
            }
            self.wanted(folder, &text, place);
        }
        self.chain.pop();
    }

    /// Reads what one element of `include` names.
    fn wanted(&mut self, folder: &Path, text: &str, place: Range<usize>) {
        let path = folder.join(text);
        let (above, last) = text.rsplit_once('/').unwrap_or(("", text));
        if last.is_empty() || text.contains('\0') || above.contains('*') {
            let why = match above.contains('*') {
                true => "`*` can only stand behind the last slash",
                false => "expected the path of a file, such as \"teams/*.toml\"",
            };
            return self.refuse(place, format!("include {}: {why}", quoted(text)));
        }
        if !last.contains('*') {
            return self.follow(path, place);
        }
        let pattern = absolute(&path);
        if !self.files.inputs.patterns.contains(&pattern) {
            self.files.inputs.patterns.push(pattern);
        }
        match matching(&path) {
            Ok(found) if found.is_empty() => {
                let message = format!("include {}: no file matches", quoted(text));
                self.faults.push(Diagnostic::warning(codes::NO_FILE, place, message));
            }
            Ok(found) => {
                for path in found {
                    self.follow(path, place.clone());
                }
            }
            Err(why) => self.refuse(place, format!("include {}: {why}", quoted(text))),
        }
    }

    /// Reads an included file.
    fn follow(&mut self, path: PathBuf, place: Range<usize>) {
        if self.full {
            return;
        }
        let name = named(&path);
        let absolute = absolute(&path);
        if self.known.insert(absolute.clone()) {
            self.files.inputs.files.push(absolute);
        }
        // Those that are included twice or cannot be read count too: each was looked for.
        self.followed += 1;
        if self.followed >= limits::CONFIG_FILES {
            return self.too_many(place, format!("more than {} files", limits::CONFIG_FILES));
        }
        let canonical = match fs::canonicalize(&path) {
            Ok(canonical) => canonical,
            Err(why) => return self.refuse(place, format!("cannot read {name}: {why}")),
        };
        if let Some(at) = self.chain.iter().position(|link| link.path == canonical) {
            return self.circle(at, name, place);
        }
        if let Some(first) = self.seen.get(&canonical).cloned() {
            let message = format!("{name} is included twice: {}", self.through(0, &name));
            let mut fault = Diagnostic::error(codes::INCLUDED_TWICE, place, message);
            if let Some(first) = first {
                fault = fault.also(first, "first here");
            }
            return self.faults.push(fault);
        }
        let most = limits::CONFIG_FILES_BYTES.saturating_sub(self.bytes);
        match is_file(&path).and_then(|()| read(&path, most)) {
            Ok(Some(bytes)) => {
                self.add(Link { path: canonical, name, place: Some(place) }, &path, bytes);
            }
            Ok(None) => {
                let most = limits::CONFIG_FILES_BYTES;
                self.too_many(place, format!("the files have more than {most} bytes together"));
            }
            Err(why) => self.refuse(place, format!("cannot read {name}: {why}")),
        }
    }

    fn circle(&mut self, at: usize, name: String, place: Range<usize>) {
        let message = format!("files include each other: {}", self.through(at, &name));
        let mut fault = Diagnostic::error(codes::INCLUDED_TWICE, place, message);
        for link in self.chain.iter().skip(at + 1) {
            if let Some(place) = &link.place {
                fault = fault.also(place.clone(), format!("{} is included here", link.name));
            }
        }
        self.faults.push(fault);
    }

    /// The files that lead to another, the first of them at a place of the chain.
    fn through(&self, from: usize, last: &str) -> String {
        let names = self.chain.iter().skip(from).map(|link| link.name.as_str());
        names.chain([last]).collect::<Vec<_>>().join(" -> ")
    }

    fn too_many(&mut self, place: Range<usize>, what: String) {
        self.full = true;
        let message = format!("{what}: expected fewer");
        self.faults.push(Diagnostic::error(codes::TOO_MANY, place, message));
        self.files.doubt();
    }

    fn refuse(&mut self, place: Range<usize>, message: String) {
        self.faults.push(Diagnostic::error(codes::INCLUDE, place, message));
        self.files.doubt();
    }
}

/// What a file's `include` names, with its places.
pub(crate) fn names(root: &Table, faults: &mut Faults) -> Vec<(String, Range<usize>)> {
    let Some(item) = Fields::root(root).get(INCLUDE) else { return Vec::new() };
    let items = match item.value() {
        Value::Array(items) => items,
        Value::String(_) => vec![item],
        Value::Table(_) | Value::Other => {
            let suggestion = Some("write include = [\"teams/*.toml\"]".to_owned());
            item.wrong_type::<()>("the path of a file or an array of them", suggestion, faults);
            return Vec::new();
        }
    };
    let names = items.iter().filter_map(|item| {
        Some((item.string("the path of a file", faults)?.to_owned(), item.value_span()))
    });
    names.collect()
}

/// What a file is called in all that is said of it: whoever makes the file chooses its name, and terminals obey some.
fn named(path: &Path) -> String {
    plain(&path.to_string_lossy())
}

/// The same file from whatever folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Refuses what may be waited for without end: a pipe, a device. Only the main file, which is named by hand, may be one.
fn is_file(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    // To read a folder fails by itself, and says what it is.
    match kind.is_file() || kind.is_dir() {
        true => Ok(()),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// At most so many bytes of a file; none if it has more.
fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// The files whose names match the last part of a path, in order; those whose names begin with a dot only if it does too.
fn matching(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    const OPTIONS: MatchOptions = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let folder = pattern.parent().unwrap_or(Path::new(""));
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    // Nothing but `*` means anything but itself.
    let literal: Vec<_> = name.split('*').map(Pattern::escape).collect();
    let mut name = literal.join("*");
    while name.contains("**") {
        name = name.replace("**", "*");
    }
    let name = Pattern::new(&name).map_err(|why| io::Error::other(why.to_string()))?;
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match fs::read_dir(listed) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = folder.join(entry?.file_name());
        let matches = |path: &Path| {
            let name_of = path.file_name().unwrap_or_default();
            name.matches_with(&name_of.to_string_lossy(), OPTIONS)
        };
        // Through links, as it is read.
        if matches(&path) && fs::metadata(&path).is_ok_and(|file| file.is_file()) {
            found.push(path);
        }
        if found.len() > limits::CONFIG_FILES {
            break;
        }
    }
    found.sort();
    Ok(found)
}
