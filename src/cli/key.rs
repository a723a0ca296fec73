//! `key new`: a secret for a code, and what is to be done with it.

use serde_json::{Value, json};

use super::arguments::KeyCommand;
use super::exit::Failure;
use super::output::Output;
use super::secret::Secret;

/// Makes a secret and prints the table for the hub's keys file. No hub is asked.
pub(super) fn key(out: &mut Output, command: &KeyCommand) -> Result<(), Failure> {
    let KeyCommand::New { code, allow_set, allow_watch } = command;
    let secret = Secret::new()?;
    let lists = [("allow_set", allow_set), ("allow_watch", allow_watch)];
    let lists = lists.into_iter().filter_map(|(name, list)| Some((name, list.as_deref()?)));
    if out.json {
        let mut object = json!({"code": code, "secret": secret.reveal()});
        if let Value::Object(object) = &mut object {
            object.extend(lists.map(|(name, list)| (name.to_owned(), json!(list))));
        }
        return out.object(&object);
    }
    let name = table_name(code);
    for line in [
        &format!("# The key of the client {code}: whoever reads it can act as that client."),
        "# At the hub: add these lines to /etc/pigeond/keys (owner root, mode 600), then: systemctl restart pigeond",
        "#   (or to the file that [access] keys_file in pigeond.toml names, then: systemctl reload pigeond)",
        &format!(
            "# At the client: keep them in a file of its own (chmod 600), then: pigeon --key-file FILE --as {code} ..."
        ),
        "#   or set PIGEON_KEY_FILE to the file, or PIGEON_KEY to the secret. Other programs need the secret only.",
        &format!("[code.{name}]"),
        &format!("secret = \"{}\"", secret.reveal()),
    ] {
        out.line(line)?;
    }
    for (name, list) in lists {
        let list: Vec<String> = list.iter().map(|pattern| format!("\"{pattern}\"")).collect();
        out.line(&format!("{name} = [{}]", list.join(", ")))?;
    }
    Ok(())
}

/// A code as it stands in the head of a table: what is more than letters, digits, `_` and `-` is quoted.
fn table_name(code: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if code.chars().all(is_bare) { code.to_owned() } else { format!("\"{code}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_with_dots_or_slashes_is_quoted() {
        for (code, name) in
            [("kitchen", "kitchen"), ("a-b_9", "a-b_9"), ("a/b", "\"a/b\""), ("a.b", "\"a.b\"")]
        {
            assert_eq!(table_name(code), name);
        }
    }
}
