//! The firmware images: root file systems of this machine's own programs, in which our `updater` stands in two different builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use fixtures::{compose_rootfs, machine_programs};
use serde_json::json;

use super::{Failure, World};

/// Total size of the machine's programs that go into an image, in bytes.
const PROGRAMS: u64 = 6 * 1024 * 1024;

/// The images of three releases.
pub(super) struct Images {
    pub(super) first: PathBuf,
    pub(super) second: PathBuf,
    /// The second one with a program that does not start.
    pub(super) broken: PathBuf,
}

pub(super) fn compose(world: &World, own: Option<&[PathBuf]>) -> Result<Images, Failure> {
    let screen = world.screen();
    screen.chapter("Firmware images");
    let images = Images {
        first: world.path("images/1.0.0.img"),
        second: world.path("images/1.1.0.img"),
        broken: world.path("images/1.2.0.img"),
    };
    std::fs::create_dir_all(world.path("images"))
        .map_err(Failure::io("make a folder for images"))?;
    if let Some([old, new]) = own {
        for (from, to) in [
            (old, &images.first),
            (new, &images.second),
            (new, &images.broken),
        ] {
            std::fs::copy(from, to).map_err(Failure::io(format!("copy {}", from.display())))?;
        }
        // Another image for the third release: the same with one byte more, which its health check will refuse.
        append(&images.broken, b"\n")?;
        screen.step(
            "images",
            &format!("your own: {} and {}", old.display(), new.display()),
            &json!({}),
        );
        return Ok(images);
    }
    let programs = machine_programs(PROGRAMS);
    let (first, second) = two_builds(world)?;
    image(&programs, &first, "1.0.0", &images.first)?;
    image(&programs, &second, "1.1.0", &images.second)?;
    let cut = cut_in_half(world, &second)?;
    image(&programs, &cut, "1.2.0", &images.broken)?;
    let size = length(&images.first)?;
    let text = format!(
        "root file systems (tar) of {} of this machine's own programs and libraries, {}; our updater stands in \
         them in two builds with different optimisation, as two releases differ",
        programs.len(),
        megabytes(size)
    );
    screen.step(
        "images",
        &text,
        &json!({"programs": programs.len(), "bytes": size}),
    );
    screen.note("1.0.0: updater built with opt-level 1    1.1.0: with opt-level 2    1.2.0: with half of it missing");
    Ok(images)
}

/// Builds the updater twice, with different optimisation of its own crate: what changes between two releases.
fn two_builds(world: &World) -> Result<(PathBuf, PathBuf), Failure> {
    let _busy = world.screen().busy("building the updater for two releases");
    let mut builds = Vec::new();
    for level in ["1", "2"] {
        let setting = format!("profile.dev.package.updater.opt-level={level}");
        // Of the whole workspace: the updater alone would have its dependencies built anew, with fewer features.
        world.build(&["--workspace", "--bins", "--config", &setting])?;
        let build = world.path(&format!("images/updater-{level}"));
        std::fs::copy(world.program("updater"), &build).map_err(Failure::io("copy the updater"))?;
        // As a device maker would ship it; without `strip` the image is only larger.
        let _stripped = Command::new("strip").arg(&build).status();
        builds.push(build);
    }
    world.build(&["--workspace", "--bins"])?;
    match <[PathBuf; 2]>::try_from(builds) {
        Ok([first, second]) => Ok((first, second)),
        Err(_) => Err(Failure::Other("two builds were to be made".to_owned())),
    }
}

fn image(programs: &[PathBuf], updater: &Path, version: &str, to: &Path) -> Result<(), Failure> {
    let mut files: Vec<(PathBuf, String)> = programs
        .iter()
        .map(|path| {
            (
                path.clone(),
                path.display()
                    .to_string()
                    .trim_start_matches('/')
                    .to_owned(),
            )
        })
        .collect();
    files.push((updater.to_owned(), "usr/sbin/updater".to_owned()));
    let release = format!("NAME=\"Router X\"\nID=router-x\nVERSION_ID={version}\n");
    let extra = [("etc/os-release".to_owned(), release.into_bytes(), 0o644)];
    let composed = compose_rootfs(&files, &extra, to);
    composed
        .map(drop)
        .map_err(|e| Failure::Other(format!("cannot compose {}: {e}", to.display())))
}

fn cut_in_half(world: &World, program: &Path) -> Result<PathBuf, Failure> {
    let bytes =
        std::fs::read(program).map_err(Failure::io(format!("read {}", program.display())))?;
    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
    let path = world.path("images/updater-cut");
    std::fs::write(&path, half).map_err(Failure::io(format!("write {}", path.display())))?;
    Ok(path)
}

fn append(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut content =
        std::fs::read(path).map_err(Failure::io(format!("read {}", path.display())))?;
    content.extend_from_slice(bytes);
    std::fs::write(path, content).map_err(Failure::io(format!("write {}", path.display())))
}

pub(super) fn length(path: &Path) -> Result<u64, Failure> {
    Ok(std::fs::metadata(path)
        .map_err(Failure::io(format!("look at {}", path.display())))?
        .len())
}

/// A size for people.
pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / (1024 * 1024);
    if tenths < 1 {
        format!("{:.1} KiB", tenths_of(bytes, 1024))
    } else {
        format!("{}.{} MiB", tenths / 10, tenths % 10)
    }
}

fn tenths_of(bytes: u64, unit: u64) -> f64 {
    f64::from(u32::try_from(bytes.saturating_mul(10) / unit).unwrap_or(u32::MAX)) / 10.0
}
