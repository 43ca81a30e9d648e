//! What stands in an exercise's file, for a terminal.

use std::sync::LazyLock;

use regex::Regex;

/// How wide a line may be.
const WIDTH: usize = 92;

static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[([^\]]+)\]\(([^)#]+)[^)]*\)").expect("a regex"));

/// Markdown, as a terminal has room for it: paragraphs are wrapped, blocks of code stay.
pub fn plain(markdown: &str) -> String {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in markdown.lines() {
        let is_fence = line.starts_with("```");
        fenced ^= is_fence;
        if is_fence {
            continue;
        }
        match fenced {
            true => lines.push(format!("    {line}")),
            false => {
                let line = LINK.replace_all(line, "$1 ($2)");
                let wrapped = textwrap::wrap(&line, WIDTH);
                lines.extend(wrapped.into_iter().map(|line| line.into_owned()));
            }
        }
    }
    lines.join("\n")
}

/// Each line a little further in.
pub fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_and_code_is_not() {
        let text = format!(
            "{} [here](poll.md#a).\n\n```rust\n{}\n```",
            "word ".repeat(25),
            "x".repeat(100)
        );
        let plain = plain(&text);
        assert!(plain.contains("here (poll.md)."));
        assert!(plain.lines().take(2).all(|line| line.len() <= WIDTH));
        assert!(plain.ends_with(&format!("\n    {}", "x".repeat(100))));
    }
}
