//! What is a path, and where it begins.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Longer than any path that is meant.
const MAX_PATH: usize = 900;

/// Extensions of files that have lines. Those that are also the ends of host names are left out: such
/// a file is recognised because it, or its folder, is known.
const EXTENSIONS: &str = "\
    adoc asm astro awk bash bat bazel bib bzl c cc cfg cjs clj cljc cljs cmake coffee conf \
    control cpp cs cshtml csproj css csv cts cu cuh cxx dart diff edn eex ejs el elm env erb erl \
    ex exs f90 fish fs fsx gd gemspec glsl go gql gradle graphql groovy h haml hbs hcl heex hh \
    hpp hrl hs htm html hxx ini ino ipynb java jinja jinja2 jl js json json5 jsonc jsonl jsx kt \
    kts leex less lhs lisp lock log lua m4 mako markdown md mdx mjs mk ml mli mm mts mustache \
    nim nix patch php phtml pl pm podspec prisma properties proto ps1 psm1 pug py pyi pyx qml \
    rake rb rbi rkt rmd ron rs rst sass sbt scala scm scss sh slim sln snap sol sql star styl sv \
    svelte svg swift tcl tex text tf tfvars thrift tmpl toml tpl ts tsv tsx twig txt vb vhd vim \
    vue wat wgsl wsdl xaml xml xsd xsl xslt yaml yml zig zsh";

/// Files that have no extension.
const NAMES: [&str; 12] = [
    "Dockerfile",
    "Gemfile",
    "Jenkinsfile",
    "Justfile",
    "LICENSE",
    "Makefile",
    "Procfile",
    "README",
    "Rakefile",
    "Vagrantfile",
    "justfile",
    "makefile",
];

static USUAL: LazyLock<HashSet<&str>> =
    LazyLock::new(|| EXTENSIONS.split_ascii_whitespace().collect());

/// The length of the run of path characters that a text begins with. A backslash belongs to it when
/// it escapes a mark of Markdown.
pub(super) fn token(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let escapes = c == '\\'
            && chars
                .next_if(|(_, next)| "_*[]()-.~+@$".contains(*next))
                .is_some();
        if !escapes && !c.is_alphanumeric() && !"/._-+@$~[]()".contains(c) {
            return at;
        }
    }
    text.len()
}

/// The same without what closes behind a path: a bracket that it does not open, a full stop.
pub(super) fn closed_token(text: &str) -> usize {
    let mut token = &text[..token(text)];
    if token.len() > MAX_PATH {
        return 0;
    }
    let count = |token: &str, bracket: char| token.matches(bracket).count();
    while let Some(last) = token.chars().next_back() {
        let closes = match last {
            ')' => count(token, ')') > count(token, '('),
            ']' => count(token, ']') > count(token, '['),
            last => last == '.',
        };
        if !closes {
            break;
        }
        token = &token[..token.len() - 1];
    }
    token.len()
}

/// Where the path begins in a token that ends with it; `None` if what stands before forbids that it
/// is one.
pub(super) fn start(token: &str, before: Option<char>) -> Option<usize> {
    if token.len() > MAX_PATH {
        return None;
    }
    let mut start = behind_brackets(token);
    let path = &token[start..];
    start += path.len() - path.trim_start_matches(['-', '+']).len();
    if token[start..].starts_with("~~") {
        start += 2;
    }
    let path = &token[start..];
    let before = if start > 0 { Some(' ') } else { before };
    let glued = before.is_some_and(|c| ":\\#…%&?".contains(c));
    // Behind anything but an opening, a slash is the rest of something: `**/a.rs`, `<dir>/a.rs`.
    let begins = before.is_none_or(|c| c.is_whitespace() || "([\"'`=|,“„«<".contains(c));
    (!path.is_empty() && !glued && (begins || !path.starts_with('/'))).then_some(start)
}

/// Behind the last bracket that is opened but not closed in the token, or closed but not opened.
fn behind_brackets(token: &str) -> usize {
    let mut start = 0;
    let mut open: Vec<(u8, usize)> = Vec::new();
    for (at, byte) in token.bytes().enumerate() {
        match byte {
            b'(' => open.push((b')', at)),
            b'[' => open.push((b']', at)),
            b')' | b']' if open.pop_if(|(wanted, _)| *wanted == byte).is_none() => {
                open.clear();
                start = at + 1;
            }
            _ => {}
        }
    }
    open.last().map_or(start, |(_, at)| at + 1)
}

/// Where the path may begin instead: behind a mention's `@`, or behind words of a script that is
/// written without blanks.
pub(super) fn glued(path: &str) -> Option<usize> {
    if path.starts_with('@') {
        return Some(1);
    }
    let ideograph = |c: char| c >= '\u{2e80}';
    let (at, last) = path.char_indices().rfind(|(_, c)| ideograph(*c))?;
    Some(at + last.len_utf8()).filter(|start| *start < path.len())
}

/// The path without escapes and without `./` before it.
pub(super) fn clean(path: &str) -> String {
    let mut path = path.replace('\\', "");
    while path.starts_with("./") {
        path.drain(..2);
    }
    path
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether it ends with a name that a file with lines usually has.
pub(super) fn has_extension(path: &str) -> bool {
    let name = name(path);
    if NAMES.contains(&name) {
        return true;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    let extension = extension.to_ascii_lowercase();
    !stem.is_empty() && USUAL.contains(extension.as_str())
}

/// Whether it can be a path at all: has a name, and is neither shortened nor an address.
pub(super) fn is_plausible(path: &str) -> bool {
    let shortened = path.split('/').any(|part| part == "...");
    let address = path.contains('@') && !path.contains('/');
    !shortened && !address && name(path).contains(char::is_alphanumeric)
}

/// The first folder of a path that ends with any extension, with its slash.
pub(super) fn folder(path: &str) -> Option<&str> {
    let folder = &path[..=path.find('/')?];
    let (stem, extension) = name(path).rsplit_once('.')?;
    let plain = extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let usual = extension.starts_with(|c: char| c.is_ascii_alphabetic()) && extension.len() <= 12;
    (folder != "/" && !stem.is_empty() && plain && usual).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_belong_to_a_path_only_in_pairs() {
        for (token, path) in [
            ("(src/a.rs", "src/a.rs"),
            ("f(src/a.rs", "src/a.rs"),
            ("[x](src/a.rs", "src/a.rs"),
            ("app/[id]/page.tsx", "app/[id]/page.tsx"),
            ("[app/(group)/[id]/page.tsx", "app/(group)/[id]/page.tsx"),
            ("x)src/a.rs", "src/a.rs"),
            ("-src/a.rs", "src/a.rs"),
            ("~~src/a.rs", "src/a.rs"),
        ] {
            assert_eq!(start(token, None).map(|at| &token[at..]), Some(path));
        }
    }

    #[test]
    fn what_stands_before_may_forbid_a_path() {
        for (token, before) in [
            ("b.rs", ':'),
            ("a.rs", '\\'),
            ("/attend.rs", '…'),
            ("/a.rs", '*'),
            ("/a.rs", '>'),
        ] {
            assert_eq!(start(token, Some(before)), None);
        }
        assert_eq!(start("/a.rs", Some('`')), Some(0));
        assert_eq!(start("a.rs", Some('*')), Some(0));
    }

    #[test]
    fn only_names_of_files_have_an_extension() {
        for path in [
            "src/a.rs",
            "A.MD",
            "Makefile",
            "x/Dockerfile",
            "a.d.ts",
            "_x.py",
        ] {
            assert!(has_extension(path), "{path}");
        }
        for path in [
            "example.com",
            "1.2",
            "std",
            ".rs",
            "a.",
            "a.rs/",
            "redis.io",
            "v1.2.rc1",
        ] {
            assert!(!has_extension(path), "{path}");
        }
    }
}
