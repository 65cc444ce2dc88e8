//! The question of a prompt, and what it is about.

use std::cmp::Reverse;

/// The question as the prompt shows it, else the prompt's opening.
pub fn question(prompt: &str) -> String {
    let mut lines = prompt.lines().skip_while(|line| {
        let line = line.to_lowercase();
        !(line.starts_with("question:")
            || line.starts_with('#') && line.trim_end().ends_with("question"))
    });
    let found = match lines.next() {
        Some(line) if line.starts_with('#') => lines
            .skip_while(|line| line.trim().is_empty())
            .take_while(|line| !line.starts_with("# How much") && !line.starts_with("## Project"))
            .collect::<Vec<_>>()
            .join(" "),
        Some(line) => line.split_once(':').map_or("", |(_, text)| text).into(),
        None => prompt.to_owned(),
    };
    let words: Vec<&str> = found.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

/// Words of the question that say what it is about, longest first.
pub fn keywords(question: &str) -> Vec<String> {
    let common = [
        "about", "after", "again", "does", "from", "have", "here", "into", "should", "that",
        "their", "there", "they", "this", "what", "when", "where", "which", "with", "work",
        "works", "would", "could", "between", "every", "before", "being", "than", "then", "will",
        "your",
    ];
    let mut words: Vec<String> = question
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() >= 4 && !common.contains(&word.as_str()))
        .collect();
    words.sort_by_key(|word| Reverse(word.chars().count()));
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        if !kept.contains(&word) {
            kept.push(word);
        }
    }
    kept.truncate(6);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_found_below_its_heading_or_beside_its_word() {
        let prompt =
            "# Question\n\nHow does the lease work?\n\n## Project\n\nThe snapshot is /snap.\n";
        assert_eq!(question(prompt), "How does the lease work?");
        assert_eq!(question("x\nQuestion: Why?\ny"), "Why?");
    }
}
