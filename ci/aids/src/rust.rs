//! Rust in colours, made when the book is built, by the lexer of rustc itself.
//!
//! A lexer sees no types: that `Vec` is one is told by its capital, that `push` is a
//! function by the parenthesis behind it.

use std::fmt::Write as _;
use std::ops::Range;

use ra_ap_rustc_lexer::{FrontmatterAllowed, LiteralKind, TokenKind, tokenize};

/// What a piece of source is; the letter is its class in the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `k`
    Keyword,
    /// `t`: a type, a trait, a variant.
    Type,
    /// `f`: a name that is called or defined here.
    Function,
    /// `m`
    Macro,
    /// `s`: a string or a character.
    Text,
    /// `n`
    Number,
    /// `c`
    Comment,
    /// `d`: a comment that rustdoc shows.
    Doc,
    /// `a`
    Attribute,
    /// `l`: a lifetime or a label.
    Lifetime,
}

impl Class {
    /// The class in the page.
    pub fn letter(self) -> char {
        match self {
            Class::Keyword => 'k',
            Class::Type => 't',
            Class::Function => 'f',
            Class::Macro => 'm',
            Class::Text => 's',
            Class::Number => 'n',
            Class::Comment => 'c',
            Class::Doc => 'd',
            Class::Attribute => 'a',
            Class::Lifetime => 'l',
        }
    }
}

/// The words that are no names, strict and reserved, of edition 2024.
const KEYWORDS: [&str; 41] = [
    "Self", "as", "async", "await", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in",
    "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
];
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8",
    "u16", "u32", "u64", "u128", "usize",
];

/// A token and where it stands.
struct Token {
    kind: TokenKind,
    range: Range<usize>,
}

fn tokens(source: &str) -> Vec<Token> {
    let mut at = 0;
    tokenize(source, FrontmatterAllowed::No)
        .map(|token| {
            let range = at..at + token.len as usize;
            at = range.end;
            Token { kind: token.kind, range }
        })
        .collect()
}

/// The source from its first to its last byte, cut where the class changes.
pub fn pieces(source: &str) -> Vec<(Option<Class>, &str)> {
    let tokens = tokens(source);
    let mut pieces: Vec<(Option<Class>, Range<usize>)> = Vec::new();
    let mut n = 0;
    while n < tokens.len() {
        let (class, count) = match attribute(&tokens[n..]) {
            Some(count) => (Some(Class::Attribute), count),
            None => class(source, &tokens, n),
        };
        let range = tokens[n].range.start..tokens[n + count - 1].range.end;
        match pieces.last_mut() {
            Some((last, before)) if *last == class => before.end = range.end,
            _ => pieces.push((class, range)),
        }
        n += count;
    }
    pieces.into_iter().map(|(class, range)| (class, &source[range])).collect()
}

/// The source as HTML, to be put into `<code>`: what the browser shows is the source to
/// the byte.
///
/// It is one line, its line ends are character references: so it stands unharmed in any
/// block of Markdown. No include directive survives in it either.
pub fn html(source: &str) -> String {
    let mut out = String::with_capacity(source.len() * 2);
    for (class, text) in pieces(source) {
        match class {
            None => out.push_str(&escaped(text)),
            Some(class) => {
                let text = escaped(text);
                let _ = write!(out, "<span class=\"{}\">{text}</span>", class.letter());
            }
        }
    }
    out
}

/// Any text as [`html`] writes it, without colours.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '{' => out.push_str("&#123;"),
            '\n' => out.push_str("&#10;"),
            c => out.push(c),
        }
    }
    out
}

/// The source without what it says in comments and in literals of text: spaces stand for
/// it, each line keeps its place.
pub fn bare(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for token in tokens(source) {
        let text = &source[token.range];
        let says = match token.kind {
            TokenKind::LineComment { .. } | TokenKind::BlockComment { .. } => true,
            TokenKind::Literal { kind, .. } => !is_number(kind),
            _ => false,
        };
        if says {
            out.extend(text.chars().map(|c| if c == '\n' { c } else { ' ' }));
        } else {
            out.push_str(text);
        }
    }
    out
}

/// How many tokens the attribute takes that begins here, if one does.
fn attribute(tokens: &[Token]) -> Option<usize> {
    let kind = |n: usize| tokens.get(n).map(|token| token.kind);
    if kind(0) != Some(TokenKind::Pound) {
        return None;
    }
    let open = if kind(1) == Some(TokenKind::Bang) { 2 } else { 1 };
    if kind(open) != Some(TokenKind::OpenBracket) {
        return None;
    }
    let mut depth = 0;
    for (n, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            TokenKind::OpenBracket => depth += 1,
            TokenKind::CloseBracket => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(n + 1);
        }
    }
    None
}

/// The class of the token at `n`, and how many tokens share it.
fn class(source: &str, tokens: &[Token], n: usize) -> (Option<Class>, usize) {
    let text = |n: usize| tokens.get(n).map_or("", |token| &source[token.range.clone()]);
    let class = match tokens[n].kind {
        TokenKind::LineComment { doc_style }
        | TokenKind::BlockComment { doc_style, .. } => {
            if doc_style.is_some() {
                Class::Doc
            } else {
                Class::Comment
            }
        }
        TokenKind::Literal { kind, .. } => {
            if is_number(kind) {
                Class::Number
            } else {
                Class::Text
            }
        }
        TokenKind::Lifetime { .. } | TokenKind::RawLifetime => Class::Lifetime,
        TokenKind::Ident => {
            let name = text(n);
            if KEYWORDS.contains(&name) {
                Class::Keyword
            } else if is_macro(&text, n) {
                return (Some(Class::Macro), 2);
            } else if PRIMITIVES.contains(&name) || is_type(name) {
                Class::Type
            } else if is_function(&text, n) {
                Class::Function
            } else {
                return (None, 1);
            }
        }
        TokenKind::RawIdent if is_function(&text, n) => Class::Function,
        _ => return (None, 1),
    };
    (Some(class), 1)
}

fn is_number(kind: LiteralKind) -> bool {
    matches!(kind, LiteralKind::Int { .. } | LiteralKind::Float { .. })
}

/// `println!(`, and `macro_rules! name`; not `a != b`.
fn is_macro<'s>(text: &impl Fn(usize) -> &'s str, n: usize) -> bool {
    let behind = if text(n + 2).trim().is_empty() { text(n + 3) } else { text(n + 2) };
    text(n + 1) == "!" && (["(", "[", "{"].contains(&behind) || text(n) == "macro_rules")
}

/// `Vec` and `T`; not `BACKLOG`.
fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_uppercase())
        && (name.chars().count() == 1 || name.contains(|c: char| c.is_lowercase()))
}

/// `read(`, `parse::<`, `fn read`.
fn is_function<'s>(text: &impl Fn(usize) -> &'s str, n: usize) -> bool {
    text(n + 1) == "("
        || [text(n + 1), text(n + 2), text(n + 3)] == [":", ":", "<"]
        || (n >= 2 && text(n - 2) == "fn")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Each piece that has a class, with its letter.
    fn classes(source: &str) -> Vec<(char, &str)> {
        let pieces = pieces(source).into_iter();
        pieces.filter_map(|(class, text)| Some((class?.letter(), text))).collect()
    }

    #[test]
    fn lifetimes_are_told_from_characters() {
        assert_eq!(
            classes(
                r"fn f<'a>(x: &'a u8) { 'out: loop { break 'out; } ('a', '\'', b'x') }"
            ),
            [
                ('k', "fn"),
                ('f', "f"),
                ('l', "'a"),
                ('l', "'a"),
                ('t', "u8"),
                ('l', "'out"),
                ('k', "loop"),
                ('k', "break"),
                ('l', "'out"),
                ('s', "'a'"),
                ('s', r"'\''"),
                ('s', "b'x'"),
            ]
        );
    }

    #[test]
    fn strings_hold_what_looks_like_something_else() {
        assert_eq!(
            classes(r###"(r#"fn "x" // no"#, "a\"/*", c"z", br##"#""##) // yes"###),
            [
                ('s', r###"r#"fn "x" // no"#"###),
                ('s', r#""a\"/*""#),
                ('s', r#"c"z""#),
                ('s', r###"br##"#""##"###),
                ('c', "// yes"),
            ]
        );
    }

    #[test]
    fn comments_nest_and_some_are_documentation() {
        assert_eq!(
            classes("/* a /* b */ c */ x /** d */ y //! e\n/// f\nz //// g\n"),
            [
                ('c', "/* a /* b */ c */"),
                ('d', "/** d */"),
                ('d', "//! e"),
                ('d', "/// f"),
                ('c', "//// g"),
            ]
        );
    }

    #[test]
    fn names_are_known_by_what_stands_beside_them() {
        assert_eq!(
            classes(
                "macro_rules! m {}\nif a != b { c!(d); e! [f]; g(Some(MAX)); h.i::<T>() } !x"
            ),
            [
                ('m', "macro_rules!"),
                ('k', "if"),
                ('m', "c!"),
                ('m', "e!"),
                ('f', "g"),
                ('t', "Some"),
                ('f', "i"),
                ('t', "T"),
            ]
        );
        assert_eq!(
            classes(
                "impl<T> Deref for r#fn { fn deref<U>(&self) -> u64 { 0x1f_u64 + 1.5e3 } }"
            ),
            [
                ('k', "impl"),
                ('t', "T"),
                ('t', "Deref"),
                ('k', "for"),
                ('k', "fn"),
                ('f', "deref"),
                ('t', "U"),
                ('k', "self"),
                ('t', "u64"),
                ('n', "0x1f_u64"),
                ('n', "1.5e3"),
            ]
        );
    }

    #[test]
    fn an_attribute_is_one_piece_to_its_last_bracket() {
        assert_eq!(
            classes("#![deny(x)]\n#[cfg(any(a, b = \"]\"))]\nstruct S([u8; 2]); # [no"),
            [
                ('a', "#![deny(x)]"),
                ('a', "#[cfg(any(a, b = \"]\"))]"),
                ('k', "struct"),
                ('t', "S"),
                ('t', "u8"),
                ('n', "2"),
            ]
        );
    }

    #[test]
    fn html_is_one_line_without_markup_or_directives_of_its_own() {
        assert_eq!(
            html("let x = a < b && \"{{#include x}}\";\n\n"),
            "<span class=\"k\">let</span> x = a &lt; b &amp;&amp; \
             <span class=\"s\">&quot;&#123;&#123;#include x}}&quot;</span>;&#10;&#10;"
        );
    }

    #[test]
    fn bare_source_keeps_lines_and_numbers() {
        assert_eq!(
            bare("a(1) // b(2)\n/*\nc */ \"d\ne\" 'f' 'static"),
            "a(1)        \n  \n       \n       'static"
        );
    }

    /// What a browser shows of the HTML.
    fn shown(html: &str) -> String {
        let mut text = String::new();
        let mut rest = html;
        while let Some(start) = rest.find('<') {
            text.push_str(&rest[..start]);
            let end = start + rest[start..].find('>').expect("a tag ends") + 1;
            rest = &rest[end..];
        }
        text.push_str(rest);
        for (reference, c) in [
            ("&#10;", "\n"),
            ("&#123;", "{"),
            ("&quot;", "\""),
            ("&lt;", "<"),
            ("&gt;", ">"),
        ] {
            text = text.replace(reference, c);
        }
        text.replace("&amp;", "&")
    }

    #[test]
    fn every_source_of_the_workspace_is_shown_to_the_byte() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut folders: Vec<PathBuf> =
            ["listings", "ci"].map(|folder| root.join(folder)).into();
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("target") {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let source = fs::read_to_string(&path).unwrap();
                    let html = html(&source);
                    assert!(!html.contains('\n'), "{}", path.display());
                    assert_eq!(shown(&html), source, "{}", path.display());
                    files += 1;
                }
            }
        }
        assert!(files > 50, "{files} files");
    }
}
