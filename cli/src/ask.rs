//! Reads a secret from a prompt without echo, or from a pipe. It is never an argument, because
//! other processes and the history of the shell can read those.

use std::{
    error::Error,
    io::{self, BufRead as _, IsTerminal as _},
};

/// Prompts twice for a secret, or reads the first line of standard input if that is no terminal.
pub(crate) fn secret(what: &str) -> Result<String, Box<dyn Error>> {
    if io::stdin().is_terminal() {
        let first = rpassword::prompt_password(format!("New {what}: "))?;
        let again = rpassword::prompt_password(format!("The same {what} again: "))?;
        return if first == again { Ok(first) } else { Err("the two are not the same".into()) };
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
