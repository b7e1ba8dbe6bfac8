// SPDX-License-Identifier: GPL-3.0-or-later
//! Programs to be started, as the configuration names them: words, and no line for a shell.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The most programs that can be started by keys, and from the beginning.
pub(super) const MOST: usize = 64;
/// The most words of one, and the longest.
const MOST_WORDS: usize = 64;
const LONGEST: usize = 4096;

/// A program, by its path or its name in `PATH`, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<String>);

impl Program {
    /// The program and what it is told; never empty.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The program's name, without where it is.
    #[must_use]
    pub fn name(&self) -> &str {
        let program = self.0.first().map(String::as_str).unwrap_or_default();
        program.rsplit('/').next().unwrap_or(program)
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(from)?;
        let sound = |word: &String| word.len() <= LONGEST && !word.contains('\0');
        let program = words.first().is_some_and(|program| !program.is_empty() && !program.ends_with('/'));
        if !program || words.len() > MOST_WORDS || !words.iter().all(sound) {
            return Err(D::Error::custom(
                "a program is a list of its name and what it is told, such as [\"foot\"] or [\"/usr/bin/swaybg\", \
                 \"-c\", \"#203040\"]",
            ));
        }
        Ok(Self(words))
    }
}

/// Reads programs that are started from the beginning.
pub(super) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Program>, D::Error> {
    let programs = Vec::<Program>::deserialize(from)?;
    if programs.len() > MOST {
        return Err(D::Error::custom(format!("at most {MOST} programs can be started")));
    }
    Ok(programs)
}
