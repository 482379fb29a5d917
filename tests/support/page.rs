//! Pages in Markdown as text: their blocks of code, the code in their prose, their
//! headings and their links. Nothing here runs anything.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::{file, root};

/// A page of the repository.
pub(crate) struct Page {
    /// From the top of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The text between two fences.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
}

/// README and every page of the book, in the order of their paths.
pub(crate) fn book() -> Vec<Page> {
    let mut pages = vec![Page::read("README.md")];
    let mut folders = vec![file("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(Page::read(&from_top(&path)));
            }
        }
    }
    pages.sort_by(|left, right| left.path.cmp(&right.path));
    pages
}

/// A path as it is from the top of the repository.
pub(crate) fn from_top(path: &Path) -> String {
    let below = path.strip_prefix(root()).expect("a path from the top");
    below.display().to_string()
}

impl Page {
    #[track_caller]
    pub(crate) fn read(path: &str) -> Page {
        let text = fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Page {
            path: path.to_string(),
            text,
        }
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for line in self.text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    open = Some(Block {
                        language: language.to_string(),
                        lines: Vec::new(),
                    });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.lines.push(line.to_string()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.path);
        blocks
    }

    /// The lines outside of blocks.
    pub(crate) fn prose(&self) -> String {
        let mut within = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.starts_with("```") {
                within = !within;
            } else if !within {
                prose += line;
                prose.push('\n');
            }
        }
        prose
    }

    /// The code in the prose: what stands between equal runs of backquotes.
    pub(crate) fn code(&self) -> Vec<String> {
        parted(&self.prose()).1
    }

    /// Where its links lead.
    pub(crate) fn links(&self) -> Vec<String> {
        let (words, _) = parted(&self.prose());
        let mut links = Vec::new();
        for after in words.split("](").skip(1) {
            let target = after.split(')').next().unwrap_or_default();
            links.push(target.to_string());
        }
        links
    }

    /// The file of the repository that a link of this page leads to.
    pub(crate) fn target(&self, link: &str) -> PathBuf {
        let folder = Path::new(&self.path).parent().expect("a folder");
        let mut parts: Vec<&str> = Vec::new();
        for part in folder.iter().chain(Path::new(link).iter()) {
            match part.to_str().expect("a name in UTF-8") {
                "." => {}
                ".." => drop(parts.pop()),
                name => parts.push(name),
            }
        }
        file(&parts.join("/"))
    }

    /// The words that can stand behind `#` in a link to it.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for line in self.prose().lines() {
            let words = line.trim_start_matches('#');
            if words.len() == line.len() || !words.starts_with(' ') {
                continue;
            }
            let anchor: String = words
                .trim()
                .to_lowercase()
                .chars()
                .filter(|character| character.is_alphanumeric() || " -_".contains(*character))
                .map(|character| if character == ' ' { '-' } else { character })
                .collect();
            let before = anchors.iter().filter(|other| **other == anchor).count();
            anchors.push(match before {
                0 => anchor,
                before => format!("{anchor}-{before}"),
            });
        }
        anchors
    }
}

impl Block {
    /// The file that the first line names in a comment, and the lines below it.
    pub(crate) fn named(&self) -> Option<(&str, &[String])> {
        let (first, rest) = self.lines.split_first()?;
        let name = ["# ", "// ", "-- "]
            .iter()
            .find_map(|mark| first.strip_prefix(mark))?;
        let is_file = !name.contains(' ') && Path::new(name).extension().is_some();
        is_file.then_some((name, rest))
    }

    pub(crate) fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}

/// Words outside of backquotes, and the code within.
fn parted(prose: &str) -> (String, Vec<String>) {
    let (mut words, mut code) = (String::new(), Vec::new());
    let mut rest = prose;
    while let Some(start) = rest.find('`') {
        let run = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let fence = &rest[start..start + run];
        let inner = &rest[start + run..];
        let Some(length) = end_of(inner, fence) else {
            break;
        };
        words += &rest[..start];
        let spaced = inner[..length].split_whitespace().collect::<Vec<_>>();
        code.push(spaced.join(" "));
        rest = &inner[length + run..];
    }
    words += rest;
    (words, code)
}

/// Where a run of just so many backquotes begins.
fn end_of(text: &str, fence: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(fence)?;
        let run = text[at..].len() - text[at..].trim_start_matches('`').len();
        if run == fence.len() {
            return Some(at);
        }
        from = at + run;
    }
}
