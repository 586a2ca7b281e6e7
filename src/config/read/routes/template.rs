//! Templates, what is wrong with one and what was perhaps meant.

use coregate_core::snapshot::plan::{PathPattern, Segment, Tail, Template, TemplateError};

use crate::codes;
use crate::item::{Item, quoted, shown};
use crate::nearest::nearest;
use crate::report::{Diagnostic, Faults};

/// How a template is read: [`Template::path`] or [`Template::location`].
type Reader = fn(&str, &PathPattern) -> Result<Template, TemplateError>;

/// What nginx calls the parts of a request.
const VARIABLES: [(&str, &str); 6] = [
    ("$request_uri", "{path}"),
    ("$uri", "{path}"),
    ("$http_host", "{host}"),
    ("$server_name", "{host}"),
    ("$host", "{host}"),
    ("$scheme", "https"),
];

/// What to write where nothing better is known.
const WRITE: &str = "write a path such as \"/new\"";

/// Reads the template that an item holds.
pub(super) fn read(
    item: &Item<'_>,
    text: &str,
    pattern: &PathPattern,
    reader: Reader,
    faults: &mut Faults,
) -> Option<Template> {
    let mut bytes = text.bytes().zip(text.bytes().skip(1));
    if bytes.any(|(b, next)| b == b'$' && (next.is_ascii_alphanumeric() || next == b'{')) {
        let why = format!("{}: parameters stand in braces, without `$`", quoted(text));
        let mut meant = text.to_owned();
        for (variable, ours) in VARIABLES {
            meant = meant.replace(variable, ours);
        }
        // A group of a regular expression by its number is the parameter at that place.
        for (at, name) in names(pattern).iter().enumerate() {
            meant = meant.replace(&format!("${}", at + 1), &format!("{{{name}}}"));
        }
        let meant = meant.replace("${", "{");
        let suggestion = match reader(&meant, pattern) {
            Ok(_) => format!("write {}", quoted(&meant)),
            Err(_) => known(pattern),
        };
        return item.refuse(codes::TEMPLATE, why, Some(suggestion), faults);
    }
    if let Some(meant) = braced(text, pattern) {
        let why = format!("{}: parameters stand in braces", quoted(text));
        let suggestion = match reader(&meant, pattern) {
            Ok(_) => format!("write {}", quoted(&meant)),
            Err(_) => known(pattern),
        };
        return item.refuse(codes::TEMPLATE, why, Some(suggestion), faults);
    }
    let why = match reader(text, pattern) {
        Ok(template) => return Some(template),
        Err(why) => why,
    };
    let suggestion = match &why {
        TemplateError::Unknown(name, _) if matches!(name.as_str(), "host" | "path") => {
            format!("{WRITE}: {{host}} and {{path}} stand in a redirect alone")
        }
        TemplateError::Unknown(name, _) => {
            let names = names(pattern);
            match nearest(name.trim_end_matches('*'), names.iter().map(String::as_str)) {
                Some(near) => format!("write {{{near}}}"),
                None => known(pattern),
            }
        }
        TemplateError::Places => "write fewer of them".to_owned(),
        TemplateError::Brace => "write each parameter as {id}".to_owned(),
        TemplateError::Form(_) => candidates(text)
            .into_iter()
            .find(|meant| reader(meant, pattern).is_ok())
            .map_or_else(|| WRITE.to_owned(), |it| format!("write {}", quoted(&it))),
    };
    item.refuse(codes::TEMPLATE, format!("{}: {why}", quoted(text)), Some(suggestion), faults)
}

/// Warns of a template that forgets what follows the path: all that the route takes goes to one place.
pub(super) fn warn_of_one_place(
    item: &Item<'_>,
    text: &str,
    pattern: &PathPattern,
    faults: &mut Faults,
) {
    let Some(tail) = tail(pattern) else { return };
    let meant = match text.split_once("://") {
        // A slash says that the one page is meant.
        Some((_, authority)) if !authority.replace("{host}", "").contains(['/', '?', '#', '{']) => {
            format!("{text}{{path}}")
        }
        Some(_) => return,
        None if text.contains('{') || is_file(text) => return,
        None => format!("{}/{{{tail}}}", text.trim_end_matches('/')),
    };
    let message = format!("{}: every path goes to {}", shown(item.path()), quoted(text));
    let fault = Diagnostic::warning(codes::ONE_PLACE, item.value_span(), message);
    faults.push(fault.suggest(format!("for the rest of the path write {}", quoted(&meant))));
}

/// Whether a path ends as those of files do, such as `/index.html`, which many paths may well lead to.
fn is_file(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.rsplit_once('.').is_some_and(|(_, end)| end.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// The template whose parameters others write `*` or `/:id`, in the path alone; none if it has neither.
fn braced(text: &str, pattern: &PathPattern) -> Option<String> {
    let (path, query) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let tail = tail(pattern).unwrap_or_else(|| "*".to_owned());
    let mut within = false;
    let mut stars = |segment: &str| {
        let mut meant = String::with_capacity(segment.len());
        for c in segment.chars() {
            within = (within || c == '{') && c != '}';
            match c {
                '*' if !within && meant.ends_with(&format!("{{{tail}}}")) => {}
                '*' if !within => meant += &format!("{{{tail}}}"),
                c => meant.push(c),
            }
        }
        meant
    };
    let named = |segment: &str| match segment.strip_prefix(':') {
        Some(name) if !name.is_empty() && name.chars().all(legal) => Some(format!("{{{name}}}")),
        Some(_) | None => None,
    };
    let segments = path.split('/').map(|segment| named(segment).unwrap_or_else(|| stars(segment)));
    let meant = segments.collect::<Vec<_>>().join("/");
    (meant != path).then(|| meant + query)
}

/// The name of what follows the path.
fn tail(pattern: &PathPattern) -> Option<String> {
    match &pattern.segments()?.tail {
        Tail::None => None,
        Tail::Any => Some("*".to_owned()),
        Tail::Named(name) => Some(name.clone()),
    }
}

/// What the path has to offer.
fn known(pattern: &PathPattern) -> String {
    let names: Vec<_> = names(pattern).iter().map(|name| format!("{{{name}}}")).collect();
    match names.as_slice() {
        [] => "the path has no parameters: write one into it, as in \"/users/{id}\"".to_owned(),
        names => format!("the parameters of the path are {}", names.join(", ")),
    }
}

fn names(pattern: &PathPattern) -> Vec<String> {
    let Some(path) = pattern.segments() else { return Vec::new() };
    let params = path.segments.iter().filter_map(|segment| match segment {
        Segment::Param(name) => Some(name.clone()),
        Segment::Literal(_) => None,
    });
    params.chain(tail(pattern)).collect()
}

/// What may have been meant by a text of another form.
fn candidates(text: &str) -> Vec<String> {
    let text = text.trim();
    let host = text.split('/').next().unwrap_or_default();
    let slash = format!("/{text}");
    let whole = format!("https://{text}");
    let of_host = host.contains('.') || host.contains(':') || host == "{host}";
    // Those that have a scheme lack something else.
    let [first, second] = match (text.contains("://"), of_host) {
        (true, _) => [text.to_owned(), text.to_owned()],
        (false, true) => [whole, slash],
        (false, false) => [slash, whole],
    };
    let before = |mark| text.split(mark).next().unwrap_or_default().to_owned();
    vec![
        text.to_owned(),
        format!("https:{text}"),
        first,
        second,
        before('?'),
        before('#'),
        text.replace(' ', "%20"),
        text.replace('%', "%25"),
        text.replace("{host}/{path}", "{host}{path}"),
        text.replace('{', "/{"),
    ]
}
