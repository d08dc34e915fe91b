//! What names smell of a secret, in a schema and in metadata alike.
//!
//! The generator refuses text fields of such names, and the runtime, which takes in this file as a module of its own, masks
//! metadata under such keys: one list, and one way to read a name. So nothing here is from another crate, and nothing
//! allocates.

use std::iter;

/// What secrets are called: one word, or two. Their letters are a sieve that every key of metadata passes on emit, so that
/// short words whose letters many names have are left out.
pub(crate) const SECRETS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "private_key",
    "api_key",
    "apikey",
    "access_key",
    "encryption_key",
    "signing_key",
    "master_key",
    "recovery_key",
    "wrapping_key",
    "privkey",
    "bearer",
    "cookie",
    "authorization",
    "jwt",
];

/// The part of `name` that secrets are called by. The name may be in any case: `apiKey`, `API_KEYS`, `x-api-key`.
pub(crate) fn secret(name: &str) -> Option<&'static str> {
    let mut before = "";
    for word in words(name) {
        let found = SECRETS.iter().find(|secret| match secret.split_once('_') {
            None => holds(word, secret),
            Some((first, second)) => is(before, first) && is(word, second),
        });
        if found.is_some() {
            return found.copied();
        }
        before = word;
    }
    None
}

/// Whether the word is this one, many of it, or a number of it.
fn is(word: &str, one: &str) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    word.eq_ignore_ascii_case(one)
        || word.strip_suffix(['s', 'S']).is_some_and(|word| word.eq_ignore_ascii_case(one))
}

/// The same, or something that is written in one word with it: `authtoken`, `passwordhash`.
fn holds(word: &str, one: &str) -> bool {
    /// Shorter ones end words that are harmless.
    const LONG: usize = 5;
    let part = |begin: usize, end: usize| {
        word.as_bytes().get(begin..end).is_some_and(|part| part.eq_ignore_ascii_case(one.as_bytes()))
    };
    let word_end = word.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    is(word, one)
        || (one.len() >= LONG && word_end.checked_sub(one.len()).is_some_and(|begin| part(begin, word_end)))
        || (one.starts_with("pass") && part(0, one.len()))
}

/// The words of a name: `ssh_privateKey` has three, and so has `SSHPrivateKey`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).flat_map(|part| {
        let mut rest = part;
        iter::from_fn(move || {
            let (word, others) = rest.split_at_checked(first_word(rest))?;
            rest = others;
            (!word.is_empty()).then_some(word)
        })
    })
}

/// Where the first word of something without separators ends: before a capital behind a small letter, and before the last of
/// several capitals when a small letter follows.
fn first_word(part: &str) -> usize {
    let (mut small_before, mut capital_before) = (false, false);
    let mut letters = part.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let Some((next_at, next)) = letters.peek().copied() else { break };
        // What has no case, a digit say, goes with what stands before it.
        let (small, capital) = match letter {
            _ if letter.is_lowercase() => (true, false),
            _ if letter.is_uppercase() => (false, true),
            _ => (small_before, capital_before),
        };
        if small && next.is_uppercase() {
            return next_at;
        }
        if capital_before && letter.is_uppercase() && next.is_lowercase() {
            return at;
        }
        (small_before, capital_before) = (small, capital);
    }
    part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_whole_words() {
        for (name, word) in [
            ("password", Some("password")),
            ("sessionToken", Some("token")),
            ("ssh_private_key_pem", Some("private_key")),
            ("API_KEYS", Some("api_key")),
            ("SSHPrivateKeys", Some("private_key")),
            ("x-api-key", Some("api_key")),
            ("HTTPBearer2", Some("bearer")),
            ("password1", Some("password")),
            ("api_key2", Some("api_key")),
            ("authtoken", Some("token")),
            ("passwordhash", Some("password")),
            ("clientsecret", Some("secret")),
            ("passed", None),
            ("bypass", None),
            ("credentials", Some("credential")),
            ("pass", None),
            ("tokenizer", None),
            ("key", None),
            ("private", None),
        ] {
            assert_eq!(secret(name), word, "{name}");
        }
    }

    #[test]
    fn every_secret_is_known_in_every_spelling() {
        for one in SECRETS {
            let camel: String = one.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            for name in [
                one.to_owned(),
                one.to_uppercase(),
                one.replace('_', "-"),
                format!("the_{one}s_2"),
                camel.clone(),
                format!("the{camel}Of"),
            ] {
                assert_eq!(secret(&name), Some(one), "{name}");
            }
        }
    }

    #[test]
    fn words_end_where_case_says_so() {
        for (name, expected) in [
            ("", &[][..]),
            ("__", &[]),
            ("one", &["one"]),
            ("oneTwo", &["one", "Two"]),
            ("HTTPServer", &["HTTP", "Server"]),
            ("a1B2c", &["a1", "B2c"]),
            ("größeÄndern", &["größe", "Ändern"]),
            ("x-y.z w", &["x", "y", "z", "w"]),
        ] {
            assert_eq!(words(name).collect::<Vec<_>>(), expected, "{name}");
        }
    }
}
