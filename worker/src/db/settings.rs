//! The settings in a connection string, cut where the driver cuts them.

use std::ops::Range;

/// One setting.
#[derive(Debug, PartialEq, Eq)]
struct Setting<'a> {
    key: &'a str,
    value: String,
    /// Where the value is written, its quotes included.
    at: Range<usize>,
}

/// What the string says of a setting; of two, the last counts.
pub fn said(text: &str, key: &str) -> Option<String> {
    let mut found = settings(text).into_iter().filter(|one| one.key == key);
    found.next_back().map(|one| one.value)
}

/// The string with another value wherever it sets `key`.
pub fn with(text: &str, key: &str, value: &str) -> String {
    let mut changed = text.to_owned();
    for one in settings(text).into_iter().rev() {
        if one.key == key {
            changed.replace_range(one.at, value);
        }
    }
    changed
}

/// Where the string makes no sense they end; the driver says why.
fn settings(text: &str) -> Vec<Setting<'_>> {
    let schemes = ["postgres://", "postgresql://"];
    match schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(address) => of_address(text, address),
        None => of_words(text),
    }
}

/// `postgres://user:password@host/database?key=value&key=value`
fn of_address<'a>(text: &'a str, address: &'a str) -> Vec<Setting<'a>> {
    // A password may hold a question mark.
    let place = address.split_once('@').map_or(address, |(_, place)| place);
    let Some((_, mut rest)) = place.split_once('?') else {
        return Vec::new();
    };
    let mut settings = Vec::new();
    while let Some((key, after)) = rest.split_once('=') {
        let value = after.split('&').next().unwrap_or_default();
        let start = text.len() - after.len();
        settings.push(Setting {
            key,
            value: value.to_owned(),
            at: start..start + value.len(),
        });
        rest = after[value.len()..].trim_start_matches('&');
    }
    settings
}

/// `key=value key='a value'`
fn of_words(text: &str) -> Vec<Setting<'_>> {
    let mut settings = Vec::new();
    let mut rest = text.trim_start();
    while let Some(end) = rest.find(|c: char| c == '=' || c.is_whitespace()) {
        let (key, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            break;
        };
        let after = after.trim_start();
        let (value, length) = value(after);
        let start = text.len() - after.len();
        settings.push(Setting {
            key,
            value,
            at: start..start + length,
        });
        rest = after[length..].trim_start();
    }
    settings
}

/// The value at the beginning, and how long it is written.
fn value(text: &str) -> (String, usize) {
    let quoted = text.starts_with('\'');
    let mut characters = text.char_indices().skip(usize::from(quoted));
    let mut value = String::new();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            '\'' if quoted => return (value, at + 1),
            c if !quoted && c.is_whitespace() => return (value, at),
            c => value.push(c),
        }
    }
    (value, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_not_read_inside_the_value_of_another() {
        for text in [
            "host=h application_name='a sslmode=verify-full b'",
            r"host=h application_name='it\'s sslmode=verify-full' user=u",
            r"password=a\ sslmode=verify-full",
            "postgres://u:a?sslmode=verify-full@h/d",
            "postgres://u@h/d?application_name=a%20sslmode=verify-full",
            "host=h asslmode=verify-full",
        ] {
            assert_eq!(said(text, "sslmode"), None, "{text}");
        }
    }

    #[test]
    fn of_two_equal_settings_the_last_counts() {
        for text in [
            "sslmode=require host=h sslmode = 'disable'",
            "postgres://h/d?sslmode=require&sslmode=disable",
        ] {
            assert_eq!(said(text, "sslmode").as_deref(), Some("disable"), "{text}");
        }
        assert_eq!(said("host=h sslmode=", "sslmode").as_deref(), Some(""));
    }

    #[test]
    fn a_value_is_replaced_with_its_quotes_and_nothing_else_is() {
        assert_eq!(
            with(
                "sslmode='a b' host=h password='sslmode=x' sslmode=y",
                "sslmode",
                "prefer"
            ),
            "sslmode=prefer host=h password='sslmode=x' sslmode=prefer"
        );
        assert_eq!(
            with("postgres://h/d?sslmode=a&user=u", "sslmode", "prefer"),
            "postgres://h/d?sslmode=prefer&user=u"
        );
    }
}
