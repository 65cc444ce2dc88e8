//! Markdown of models as HTML, of which nothing but our own elements comes out.

use pulldown_cmark::TextMergeStream;
use pulldown_cmark::{Alignment, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::cite;
use super::items::Items;
use crate::escape;

/// Quotes and lists nested deeper than this are flat, as browsers do it further down anyway.
const DEEPEST: usize = 16;

/// Appends a text as it is: headings at level `top` and below, no items.
pub(super) fn prose(out: &mut String, text: &str, top: usize) {
    write(out, text, top, None);
}

/// Appends the output of a step, of which every item becomes an article.
pub(super) fn output(out: &mut String, text: &str, top: usize, step: &str, items: &mut Items) {
    write(out, text, top, Some((step, items)));
}

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

fn write(out: &mut String, text: &str, top: usize, items: Option<(&str, &mut Items)>) {
    let highest = Parser::new_ext(text, options())
        .filter_map(|event| match event {
            Event::Start(Tag::Heading { level, .. }) => Some(level as usize),
            _ => None,
        })
        .min();
    let mut writer = Writer {
        out,
        shift: top.saturating_sub(highest.unwrap_or(top)),
        items,
        article: None,
        heading: None,
        blocks: Vec::new(),
        inlines: Vec::new(),
        block: Block::Text,
        columns: Vec::new(),
        column: 0,
        head: false,
    };
    for event in TextMergeStream::new(Parser::new_ext(text, options())) {
        writer.event(event);
    }
    writer.end_article();
}

/// How text is to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Code,
    Html,
}

/// A heading under way.
struct Heading {
    level: usize,
    /// Where what it holds begins.
    start: usize,
    /// The beginning of its text, without markup.
    plain: String,
}

struct Writer<'o, 'i> {
    out: &'o mut String,
    /// How far headings move down.
    shift: usize,
    /// The step whose items are wanted.
    items: Option<(&'o str, &'i mut Items)>,
    /// The level of the item that is open.
    article: Option<usize>,
    heading: Option<Heading>,
    /// What closes the open quotes, lists and items; nothing where they are too deep.
    blocks: Vec<&'static str>,
    /// The same of emphasis, links and images.
    inlines: Vec<String>,
    block: Block,
    columns: Vec<Alignment>,
    column: usize,
    /// Whether the cells are those of a table's head.
    head: bool,
}

impl Writer<'_, '_> {
    fn event(&mut self, event: Event) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match self.block {
                Block::Text => {
                    self.note(&text);
                    cite::text(self.out, &text);
                }
                Block::Code | Block::Html => escape::push(self.out, &text),
            },
            Event::Code(text) => {
                self.note(&text);
                cite::code(self.out, &text);
            }
            Event::Html(text) => escape::push(self.out, &text),
            Event::InlineHtml(text) => self.inline_html(&text),
            Event::SoftBreak => {
                self.note(" ");
                self.out.push('\n');
            }
            Event::HardBreak => {
                self.note(" ");
                self.out.push_str("<br>\n");
            }
            Event::Rule => self.out.push_str("<hr>\n"),
            Event::TaskListMarker(done) => {
                let mark = if done { "☑ " } else { "☐ " };
                self.out.push_str(mark);
            }
            // Of extensions that are not enabled.
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                escape::push(self.out, &text);
            }
        }
    }

    /// Keeps the beginning of a heading's text.
    fn note(&mut self, text: &str) {
        if let Some(heading) = &mut self.heading
            && heading.plain.len() < 400
        {
            heading.plain.extend(text.chars().take(400));
        }
    }

    fn start(&mut self, tag: Tag) {
        match tag {
            Tag::Paragraph => self.out.push_str("<p>"),
            Tag::Heading { level, .. } => self.heading(level),
            Tag::BlockQuote(_) => self.open("<blockquote>\n", "</blockquote>\n"),
            Tag::List(None) => self.open("<ul>\n", "</ul>\n"),
            Tag::List(Some(first)) => self.open(&format!("<ol start=\"{first}\">\n"), "</ol>\n"),
            Tag::Item => match self.blocks.last() {
                Some(&"</ul>\n" | &"</ol>\n") => {
                    self.out.push_str("<li>");
                    self.blocks.push("</li>\n");
                }
                _ => self.blocks.push("<br>\n"),
            },
            Tag::CodeBlock(_) => {
                self.block = Block::Code;
                self.out.push_str("<pre tabindex=\"0\"><code>");
            }
            Tag::HtmlBlock => {
                self.block = Block::Html;
                self.out.push_str("<pre class=\"raw\" tabindex=\"0\">");
            }
            Tag::Table(columns) => {
                self.columns = columns;
                self.out
                    .push_str("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\"><table>\n");
            }
            Tag::TableHead => {
                self.head = true;
                self.row("<thead><tr>");
            }
            Tag::TableRow => self.row("<tr>"),
            Tag::TableCell => self.cell(),
            Tag::Emphasis => self.inline("<em>", "</em>"),
            Tag::Strong => self.inline("<strong>", "</strong>"),
            Tag::Strikethrough => self.inline("<del>", "</del>"),
            Tag::Link { dest_url, .. } => self.link(&dest_url),
            Tag::Image { dest_url, .. } => {
                let close = format!("{})", escape::escaped(&format!(": {dest_url}")));
                self.inlines.push(close);
                self.out.push_str("(image ");
            }
            // Of extensions that are not enabled.
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.out.push_str("</p>\n"),
            TagEnd::Heading(_) => self.end_heading(),
            TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Item => {
                self.out.push_str(self.blocks.pop().unwrap_or_default());
            }
            TagEnd::CodeBlock => {
                self.block = Block::Text;
                self.out.push_str("</code></pre>\n");
            }
            TagEnd::HtmlBlock => {
                self.block = Block::Text;
                self.out.push_str("</pre>\n");
            }
            TagEnd::Table => self.out.push_str("</tbody></table></div>\n"),
            TagEnd::TableHead => {
                self.head = false;
                self.out.push_str("</tr></thead><tbody>\n");
            }
            TagEnd::TableRow => self.out.push_str("</tr>\n"),
            TagEnd::TableCell => {
                let close = if self.head { "</th>" } else { "</td>" };
                self.out.push_str(close);
            }
            TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Link
            | TagEnd::Image => self.out.push_str(&self.inlines.pop().unwrap_or_default()),
            _ => {}
        }
    }

    fn open(&mut self, open: &str, close: &'static str) {
        if self.blocks.len() < DEEPEST {
            self.out.push_str(open);
            self.blocks.push(close);
        } else {
            self.blocks.push("");
        }
    }

    fn inline(&mut self, open: &str, close: &str) {
        if self.inlines.len() < DEEPEST {
            self.out.push_str(open);
            self.inlines.push(close.to_owned());
        } else {
            self.inlines.push(String::new());
        }
    }

    /// A link to where a browser may go; of any other the address is text.
    fn link(&mut self, address: &str) {
        let start = address.get(..8).unwrap_or(address).to_ascii_lowercase();
        let known = ["https://", "http://", "mailto:"]
            .iter()
            .any(|scheme| start.starts_with(scheme));
        let clean = !address.contains(|c: char| c.is_control() || c.is_whitespace());
        let address_text = escape::escaped(address);
        // Something in it was shown instead of hidden, so it would lead elsewhere.
        let same = !address_text.contains('⟨');
        if known && clean && same && self.inlines.len() < DEEPEST {
            self.out.push_str(&format!(
                "<a href=\"{address_text}\" rel=\"noopener noreferrer nofollow\">"
            ));
            self.inlines.push("</a>".to_owned());
        } else {
            self.inlines
                .push(format!(" <span class=\"address\">({address_text})</span>"));
        }
    }

    fn inline_html(&mut self, text: &str) {
        // Tables have no other way to break a line.
        if matches!(text, "<br>" | "<br/>" | "<br />") {
            self.out.push_str("<br>");
        } else {
            escape::push(self.out, text);
        }
    }

    fn row(&mut self, open: &str) {
        self.column = 0;
        self.out.push_str(open);
    }

    fn cell(&mut self) {
        let open = if self.head {
            "<th scope=\"col\""
        } else {
            "<td"
        };
        self.out.push_str(open);
        let class = match self.columns.get(self.column) {
            Some(Alignment::Right) => " class=\"right\">",
            Some(Alignment::Center) => " class=\"center\">",
            _ => ">",
        };
        self.out.push_str(class);
        self.column += 1;
    }

    fn heading(&mut self, level: HeadingLevel) {
        let level = (level as usize + self.shift).min(6);
        self.heading = Some(Heading {
            level,
            start: self.out.len(),
            plain: String::new(),
        });
    }

    /// Only now is it known whether the heading begins an item.
    fn end_heading(&mut self) {
        let Some(heading) = self.heading.take() else {
            return;
        };
        let inner = self.out.split_off(heading.start);
        let level = heading.level;
        let mut badge = String::new();
        if self.blocks.is_empty() {
            if self.article.is_some_and(|open| level <= open) {
                self.end_article();
            }
            if self.article.is_none()
                && let Some((step, items)) = &mut self.items
                && let Some(open) = items.open(step, &heading.plain)
            {
                self.out.push_str(&open.article);
                badge = open.badge;
                self.article = Some(level);
            }
        }
        self.out
            .push_str(&format!("<h{level}>{}{badge}</h{level}>\n", inner.trim()));
    }

    fn end_article(&mut self) {
        if self.article.take().is_some() {
            self.out.push_str("</article>\n");
        }
    }
}
