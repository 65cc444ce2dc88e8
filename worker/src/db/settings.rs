//! The settings in a connection string, cut where the driver cuts them.

use std::ops::Range;

use percent_encoding::percent_decode_str;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// One setting.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    key: String,
    value: String,
    /// Where it is written, from its key to the end of its value.
    at: Range<usize>,
}

/// What the string says of a setting; of two, the last counts.
pub fn said(text: &str, key: &str) -> Option<String> {
    let mut found = settings(text).into_iter().filter(|one| one.key == key);
    found.next_back().map(|one| one.value)
}

/// The string without these settings, and what it says of them.
pub fn take(text: &str, keys: &[&str]) -> (String, Vec<(String, String)>) {
    let (mut rest, mut taken) = (String::new(), Vec::new());
    let mut end = 0;
    for one in settings(text) {
        if keys.contains(&one.key.as_str()) {
            rest.push_str(&text[end..one.at.start]);
            // What parts it from the next one goes with it.
            let after = &text[one.at.end..];
            end = one.at.end + (after.len() - after.trim_start_matches('&').len());
            taken.push((one.key, one.value));
        }
    }
    rest.push_str(&text[end..]);
    (rest, taken)
}

/// Whether it holds a password, of the user or of a key.
pub fn holds_password(text: &str) -> bool {
    let of_user = SCHEMES.iter().find_map(|scheme| {
        let (user, _) = text.strip_prefix(scheme)?.split_once('@')?;
        user.split_once(':')
    });
    of_user.is_some_and(|(_, password)| !password.is_empty())
        || ["password", "sslpassword"]
            .iter()
            .any(|key| said(text, key).is_some_and(|value| !value.is_empty()))
}

/// Where the string makes no sense they end; the driver says why.
fn settings(text: &str) -> Vec<Setting> {
    match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(address) => of_address(text, address),
        None => of_words(text),
    }
}

/// `postgres://user:password@host/database?key=value&key=value`
fn of_address(text: &str, address: &str) -> Vec<Setting> {
    // A password may hold a question mark.
    let place = address.split_once('@').map_or(address, |(_, place)| place);
    let Some((_, mut rest)) = place.split_once('?') else {
        return Vec::new();
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut settings = Vec::new();
    while let Some((key, after)) = rest.split_once('=') {
        let value = after.split('&').next().unwrap_or_default();
        let start = text.len() - rest.len();
        settings.push(Setting {
            key: decoded(key),
            value: decoded(value),
            at: start..start + key.len() + 1 + value.len(),
        });
        let after = &after[value.len()..];
        rest = after.strip_prefix('&').unwrap_or(after);
    }
    settings
}

/// `key=value key='a value'`
fn of_words(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut rest = text.trim_start();
    while let Some(end) = rest.find(|c: char| c == '=' || c.is_whitespace()) {
        let start = text.len() - rest.len();
        let (key, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            break;
        };
        let after = after.trim_start();
        let (value, length) = value(after);
        settings.push(Setting {
            key: key.to_owned(),
            value,
            at: start..text.len() - after.len() + length,
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
            assert_eq!(take(text, &["sslmode"]), (text.to_owned(), vec![]));
        }
    }

    #[test]
    fn of_two_equal_settings_the_last_counts() {
        for text in [
            "sslmode=require host=h sslmode = 'disable'",
            "postgres://h/d?sslmode=require&sslmode=disable",
            "postgres://h/d?sslmode=require&sslm%6Fde=dis%61ble",
        ] {
            assert_eq!(said(text, "sslmode").as_deref(), Some("disable"), "{text}");
        }
        assert_eq!(said("host=h sslmode=", "sslmode").as_deref(), Some(""));
    }

    #[test]
    fn what_is_taken_out_leaves_the_others_as_they_were() {
        let keys = ["sslmode", "sslcert"];
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for (text, rest, taken) in [
            (
                "sslmode='a b' host=h password='sslmode=x' sslmode = y",
                " host=h password='sslmode=x' ",
                vec![pair("sslmode", "a b"), pair("sslmode", "y")],
            ),
            (
                "postgres://h/d?sslmode=a&user=u&sslcert=%2Fmy%20cert",
                "postgres://h/d?user=u&",
                vec![pair("sslmode", "a"), pair("sslcert", "/my cert")],
            ),
            (
                "postgres://h/d?s%73lmode=a",
                "postgres://h/d?",
                vec![pair("sslmode", "a")],
            ),
            (
                "host=h sslmode=a nonsense",
                "host=h  nonsense",
                vec![pair("sslmode", "a")],
            ),
        ] {
            assert_eq!(take(text, &keys), (rest.to_owned(), taken), "{text}");
        }
        for (text, user) in [
            ("postgres://h/d?user=u&sslcert=c", "u"),
            ("postgres://h/d?sslcert=c&user=u", "u"),
            ("sslcert=c user=u host=h", "u"),
        ] {
            let config: tokio_postgres::Config = take(text, &keys).0.parse().unwrap();
            assert_eq!(config.get_user(), Some(user), "{text}");
        }
    }

    #[test]
    fn a_password_is_found_wherever_it_may_stand() {
        for text in [
            "postgres://u:secret@h/d",
            "postgresql://:secret@h",
            "postgres://u@h/d?password=secret",
            "postgres://u@h/d?p%61ssword=secret",
            "host=h password = 'secret'",
            "host=h sslpassword=secret",
        ] {
            assert!(holds_password(text), "{text}");
        }
        for text in [
            "postgres://u@h:5432/d",
            "postgres://u:@h/d",
            "host=h user=password",
            "host=h application_name='password=x'",
            "",
        ] {
            assert!(!holds_password(text), "{text}");
        }
    }
}
