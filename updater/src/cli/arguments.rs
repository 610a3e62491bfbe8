//! The command line as a table, and how arguments are read by it. [`super::help`] prints the same table.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;

use super::verbs::{self, Verb};
use crate::suggest::nearest;

/// Where the configuration is if nobody says.
pub(super) const CONFIG: &str = "/etc/updater/updater.toml";
/// The variable that says where the configuration is, if no option does.
pub(super) const CONFIG_VARIABLE: &str = "UPDATER_CONFIG";

/// An option of a command.
pub(super) struct Flag {
    /// Its name, without the hyphens.
    pub(super) name: &'static str,
    /// What its value is called; none if it takes no value.
    pub(super) value: Option<&'static str>,
    /// What it does.
    pub(super) about: &'static str,
}

/// What a command is told without an option.
pub(super) struct Operand {
    /// What it is called.
    pub(super) name: &'static str,
    /// Whether the command needs it.
    pub(super) needed: bool,
    /// What it says.
    pub(super) about: &'static str,
}

/// Options that every command has.
pub(super) const EVERYWHERE: &[Flag] = &[
    Flag {
        name: "config",
        value: Some("FILE"),
        about: "The configuration, /etc/updater/updater.toml without (or what UPDATER_CONFIG says); drop-ins are read from the folder \
                of the same name that ends in .d",
    },
    Flag {
        name: "json",
        value: None,
        about: "Answer in JSON",
    },
    Flag {
        name: "help",
        value: None,
        about: "Print help",
    },
    Flag {
        name: "version",
        value: None,
        about: "Print the version",
    },
];

/// What the program is asked for.
pub(super) enum Asked {
    /// A command.
    Command(Given),
    /// The help of a command, or of all.
    Help(Option<&'static Verb>),
    /// Its version.
    Version,
}

/// A command with what it was given.
pub(super) struct Given {
    pub(super) verb: &'static Verb,
    pub(super) config: PathBuf,
    pub(super) json: bool,
    flags: Vec<(&'static str, String)>,
    operand: Option<String>,
}

impl Given {
    /// Whether the option was given.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.value(flag).is_some()
    }

    /// The value of the option; the last one, if it was given several times.
    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        let mut given = self.flags.iter().rev();
        Some(given.find(|(name, _)| *name == flag)?.1.as_str())
    }

    /// What was given without an option.
    pub(super) fn operand(&self) -> Option<&str> {
        self.operand.as_deref()
    }

    /// The refusal of a value.
    pub(super) fn wrong(&self, why: &impl ToString) -> Usage {
        Usage {
            verb: Some(self.verb),
            why: why.to_string(),
        }
    }
}

/// Why arguments cannot be understood.
pub(super) struct Usage {
    /// The command that they are for, as far as that was said.
    pub(super) verb: Option<&'static Verb>,
    /// What is wrong.
    pub(super) why: String,
}

/// Reads arguments, the program's name first; `config` is the value of [`CONFIG_VARIABLE`].
///
/// # Errors
///
/// [`Usage`] for anything that the table does not have.
pub(super) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    config: Option<OsString>,
) -> Result<Asked, Usage> {
    let mut verb: Option<&'static Verb> = None;
    let mut reading = Reading {
        config: config.unwrap_or_else(|| CONFIG.into()).into(),
        json: false,
        help: false,
        version: false,
        flags: Vec::new(),
        operands: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_iter(arguments.into_iter().collect::<Vec<_>>());
    let result = reading.all(&mut parser, &mut verb);
    let usage = |why| Usage { verb, why };
    result.map_err(usage)?;
    if reading.version {
        return Ok(Asked::Version);
    }
    let Some(verb) = verb.filter(|_| !reading.help) else {
        return match verb {
            None if !reading.help => Err(usage("a command is missing".to_owned())),
            _ => Ok(Asked::Help(verb)),
        };
    };
    let mut operands = reading.operands.into_iter();
    let operand = operands.next();
    match (&verb.operand, operand.as_ref(), operands.next().as_ref()) {
        (Some(expected), None, _) if expected.needed => {
            Err(usage(format!("{} is missing", expected.name)))
        }
        (None, Some(found), _) | (Some(_), _, Some(found)) => {
            Err(usage(format!("{found:?} is one word too many")))
        }
        _ => Ok(Asked::Command(Given {
            verb,
            config: reading.config,
            json: reading.json,
            flags: reading.flags,
            operand,
        })),
    }
}

/// What has been read so far.
struct Reading {
    config: PathBuf,
    json: bool,
    help: bool,
    version: bool,
    flags: Vec<(&'static str, String)>,
    operands: Vec<String>,
}

impl Reading {
    fn all(
        &mut self,
        parser: &mut lexopt::Parser,
        verb: &mut Option<&'static Verb>,
    ) -> Result<(), String> {
        while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
            match argument {
                Arg::Short('h') | Arg::Long("help") => self.help = true,
                Arg::Short('V') | Arg::Long("version") => self.version = true,
                Arg::Long("json") => self.json = true,
                Arg::Long("config") => {
                    self.config = parser.value().map_err(|e| e.to_string())?.into();
                }
                Arg::Long(name) => {
                    let flag = flag(*verb, name)?;
                    let value = match flag.value {
                        Some(_) => text(parser.value().map_err(|e| e.to_string())?)?,
                        None => String::new(),
                    };
                    self.flags.push((flag.name, value));
                }
                Arg::Short(name) => return Err(format!("there is no option -{name}")),
                Arg::Value(word) => {
                    let word = text(word)?;
                    if verb.is_some() {
                        self.operands.push(word);
                    } else if word == "help" {
                        self.help = true;
                    } else {
                        *verb = Some(named(&word)?);
                    }
                }
            }
        }
        Ok(())
    }
}

fn flag(verb: Option<&'static Verb>, name: &str) -> Result<&'static Flag, String> {
    let own: &[Flag] = verb.map_or(&[], |verb| verb.flags);
    own.iter().find(|flag| flag.name == name).ok_or_else(|| {
        let all = own.iter().chain(EVERYWHERE).map(|flag| flag.name);
        let meant = nearest(name, all).map(|name| format!("; did you mean --{name}?"));
        format!(
            "there is no option --{name}{}{}",
            verb.map(|verb| format!(" of `{}`", verb.name))
                .unwrap_or_default(),
            meant.unwrap_or_default()
        )
    })
}

fn named(word: &str) -> Result<&'static Verb, String> {
    verbs::all().find(|verb| verb.name == word).ok_or_else(|| {
        let meant = nearest(word, verbs::all().map(|verb| verb.name));
        let meant = meant.map(|name| format!("; did you mean `{name}`?"));
        format!("there is no command {word:?}{}", meant.unwrap_or_default())
    })
}

fn text(word: OsString) -> Result<String, String> {
    word.into_string()
        .map_err(|word| format!("{} is no text in UTF-8", word.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked, String> {
        let words = std::iter::once("updater").chain(line.split_whitespace());
        read(words.map(OsString::from), None).map_err(|usage| usage.why)
    }

    fn command(line: &str) -> Given {
        match asked(line) {
            Ok(Asked::Command(given)) => given,
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn options_stand_before_and_after_the_command() {
        for line in [
            "--json --config a.toml rollback --why leaks",
            "rollback --why=leaks --config=a.toml --json",
        ] {
            let given = command(line);
            assert_eq!(given.verb.name, "rollback");
            assert_eq!(given.config, PathBuf::from("a.toml"));
            assert!(given.json);
            assert_eq!(given.value("why"), Some("leaks"));
        }
        assert!(!command("install").has("retry"));
        assert!(command("install --retry").has("retry"));
        assert_eq!(command("postpone 3d").operand(), Some("3d"));
        assert_eq!(command("status").config, PathBuf::from(CONFIG));
        let from = read(["updater".into(), "why".into()], Some("b.toml".into()));
        assert!(matches!(from, Ok(Asked::Command(given)) if given.config.as_os_str() == "b.toml"));
    }

    #[test]
    fn help_is_of_all_or_of_one() {
        for line in ["help", "--help", "-h"] {
            assert!(matches!(asked(line), Ok(Asked::Help(None))), "{line}");
        }
        for line in [
            "help install",
            "install --help",
            "-h install",
            "postpone -h",
        ] {
            assert!(matches!(asked(line), Ok(Asked::Help(Some(_)))), "{line}");
        }
        assert!(matches!(asked("-V"), Ok(Asked::Version)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", "a command is missing"),
            (
                "instal",
                "there is no command \"instal\"; did you mean `install`?",
            ),
            ("frobnicate", "there is no command \"frobnicate\""),
            (
                "install --retri",
                "there is no option --retri of `install`; did you mean --retry?",
            ),
            (
                "status --jsn",
                "there is no option --jsn of `status`; did you mean --json?",
            ),
            ("status -x", "there is no option -x"),
            ("postpone", "DURATION is missing"),
            ("postpone 3d 4d", "\"4d\" is one word too many"),
            ("status now", "\"now\" is one word too many"),
        ];
        for (line, expected) in cases {
            assert_eq!(asked(line).err().as_deref(), Some(expected), "{line}");
        }
        assert!(asked("install --retry=yes").is_err());
        assert!(asked("rollback --why").is_err());
    }
}
