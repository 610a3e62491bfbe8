//! A set-up from a conversation: the same questions that the file answers.

use std::path::PathBuf;

use super::{People, ProductSetup, Setup};
use crate::error::{Error, Result};
use crate::settings::{Minimums, Periods, SigningPeriods};

/// Most products that one conversation takes.
const MAX_PRODUCTS: usize = 100;

impl Setup {
    /// Asks for what a set-up needs; periods and minimums are those of the example. `ask` shows a question and returns the
    /// line that was typed. What is asked again was no answer; whether it is a possible one, [`Setup::check`] says.
    ///
    /// # Errors
    /// What `ask` refuses, and an answer that makes no sense three times.
    pub fn ask(ask: &mut dyn FnMut(&str) -> Result<String>) -> Result<Self> {
        let anchor = needed(
            ask,
            "Certificate of the root CA that the devices trust (PEM file)",
        )?;
        let root = people(
            ask,
            "root",
            "Who signs root? Certificate chains (PEM files), with spaces between",
        )?;
        let same = ask("Does somebody else sign targets, which says who signs products? [no]")?;
        let targets = if is_yes(&same) {
            Some(people(ask, "targets", "Who signs targets?")?)
        } else {
            None
        };
        let mut products = Vec::new();
        while products.len() < MAX_PRODUCTS {
            let name = ask("Name of a product, or nothing if there are no more")?;
            if name.trim().is_empty() {
                break;
            }
            let People { people, threshold } = people(ask, name.trim(), "Who signs its releases?")?;
            products.push(ProductSetup {
                name: name.trim().to_owned(),
                people,
                threshold,
                paths: Vec::new(),
                bins: None,
            });
        }
        Ok(Self {
            anchor: anchor.into(),
            root,
            targets,
            products,
            expiry_days: Periods::default(),
            signing_days: SigningPeriods::default(),
            device_minimum: Minimums::default(),
        })
    }
}

fn people(
    ask: &mut dyn FnMut(&str) -> Result<String>,
    role: &str,
    question: &str,
) -> Result<People> {
    let files = needed(ask, question)?;
    let people: Vec<PathBuf> = files.split_whitespace().map(PathBuf::from).collect();
    let count = people.len();
    for _ in 0..3 {
        let answer = ask(&format!("How many of these {count} must sign {role}? [2]"))?;
        let answer = answer.trim();
        let number = if answer.is_empty() {
            Ok(2)
        } else {
            answer.parse()
        };
        if let Ok(threshold) = number {
            return Ok(People { people, threshold });
        }
    }
    Err(Error::argument(
        "threshold",
        "no number",
        "a number of people, such as 2",
    ))
}

/// An answer that is not empty.
fn needed(ask: &mut dyn FnMut(&str) -> Result<String>, question: &str) -> Result<String> {
    for _ in 0..3 {
        let answer = ask(question)?;
        if !answer.trim().is_empty() {
            return Ok(answer.trim().to_owned());
        }
    }
    Err(Error::argument("answer", "", "the name of a file"))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
