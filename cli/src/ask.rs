//! How a secret reaches a command: from a prompt that shows nothing, or from a pipe. Never from the
//! command line, which other processes and the shell's history can read.

use std::{
    error::Error,
    io::{self, BufRead as _, IsTerminal as _},
};

/// Asks for a secret, twice at a prompt; the first line of what is piped in.
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
