//! Releases: payloads, versions that may not fall, and what a device then finds.

use metadata_schema::release::Wave;
use repo_tool::{Error, ImageSource, ReleaseRequest, silent};

use crate::support::{World, image, later, now, product, release, sign_and_publish, stable};

#[test]
fn the_second_release_is_a_delta() {
    let (world, repository, [alice, bob, carol]) = World::published();
    let forecast = repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    assert!(forecast.images[0].deltas.is_empty());
    sign_and_publish(&repository, &[&alice, &bob], now());

    let day = later(1);
    let forecast = repository
        .stage_release(&release("1.1.0", &image(2)), day, &silent)
        .unwrap();
    let rootfs = &forecast.images[0];
    assert_eq!(rootfs.deltas.len(), 1);
    assert_eq!(rootfs.deltas[0].from_version, "1.0.0");
    assert!(
        rootfs.deltas[0].bytes * 10 < rootfs.full_bytes,
        "{rootfs:?}"
    );
    sign_and_publish(&repository, &[&bob, &carol], day);

    let report = world.verify(day).unwrap();
    assert_eq!(report.releases.len(), 1);
    assert_eq!(report.releases[0].version, "1.1.0");
    assert_eq!(report.releases[0].payloads.len(), 2);

    // A third, which removes the payloads of the first two from the metadata, but not their files.
    let forecast = repository
        .stage_release(&release("1.2.0", &image(3)), day, &silent)
        .unwrap();
    assert_eq!(forecast.images[0].deltas.len(), 2);
    let text = repository.show().unwrap().changes[0].lines.join("\n");
    assert!(
        text.contains("removes router-x/rootfs-1.1.0.full"),
        "{text}"
    );
    sign_and_publish(&repository, &[&alice, &bob], day);
    assert_eq!(world.verify(day).unwrap().releases[0].payloads.len(), 3);
}

#[test]
fn staging_the_same_again_keeps_the_signatures() {
    let (_world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    repository.sign(&alice.key).unwrap();
    repository
        .stage_release(&release("1.0.0", &image(1)), later(1), &silent)
        .unwrap();
    assert!(repository.sign(&alice.key).unwrap()[0].repeated);
    // Another image is another draft: Alice has to sign again.
    repository
        .stage_release(&release("1.0.1", &image(2)), later(1), &silent)
        .unwrap();
    repository.sign(&bob.key).unwrap();
    let error = repository.publish(later(1)).unwrap_err().to_string();
    assert!(error.contains("needs 2 signatures, 1 count"), "{error}");
}

#[test]
fn versions_do_not_fall() {
    let (_world, repository, [alice, bob, _]) = World::published();
    let mut first = release("1.0.0", &image(1));
    first.security_version = Some(3);
    repository.stage_release(&first, now(), &silent).unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());

    let stage = |request: &ReleaseRequest| repository.stage_release(request, now(), &silent);
    let error = stage(&release("0.9.0", &image(2))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "version of router-x in channel stable would fall from 1.0.0 to 0.9.0"
    );
    let mut lower = release("1.1.0", &image(2));
    lower.security_version = Some(2);
    assert!(matches!(
        stage(&lower),
        Err(Error::Falls {
            what: "security version",
            ..
        })
    ));
    assert!(matches!(
        stage(&release("1.0.0", &image(2))),
        Err(Error::SameVersion { .. })
    ));
    let mut circular = release("1.1.0", &image(2));
    circular.requires = Some("1.1.0".parse().unwrap());
    assert!(matches!(stage(&circular), Err(Error::Release { .. })));
    assert!(matches!(
        stage(&release("1.1.0", b"")),
        Err(Error::Release { .. })
    ));
    let unknown = ReleaseRequest {
        product: product("router-z"),
        ..release("1.1.0", &image(2))
    };
    assert!(matches!(stage(&unknown), Err(Error::NoSuchProduct { .. })));
    let mut waves = release("1.1.0", &image(2));
    waves.rollout.waves = vec![
        Wave {
            start: later(2),
            percent: 50,
        },
        Wave {
            start: later(1),
            percent: 100,
        },
    ];
    assert!(matches!(stage(&waves), Err(Error::Release { .. })));
    assert!(repository.show().unwrap().changes.is_empty());

    // The security version stays if nothing is said.
    assert_eq!(
        stage(&release("1.1.0", &image(2)))
            .unwrap()
            .security_version,
        3
    );
}

#[test]
fn another_channel_offers_the_same_payloads() {
    let (world, repository, [alice, bob, _]) = World::published();
    for (number, version) in [(1, "1.0.0"), (2, "1.1.0")] {
        let mut beta = release(version, &image(number));
        beta.channel = "beta".parse().unwrap();
        repository.stage_release(&beta, now(), &silent).unwrap();
        sign_and_publish(&repository, &[&alice, &bob], now());
    }
    repository
        .stage_release(&release("1.1.0", &image(2)), now(), &silent)
        .unwrap();
    let lines = repository.show().unwrap().changes[0].lines.clone();
    assert!(
        lines.iter().all(|line| !line.contains(".full,")),
        "{lines:?}"
    );
    sign_and_publish(&repository, &[&alice, &bob], now());
    let report = world.verify(now()).unwrap();
    let channels: Vec<&str> = report.releases.iter().map(|r| r.channel.as_str()).collect();
    assert_eq!(channels, ["beta", "stable"]);
    assert_eq!(report.releases[0].payloads, report.releases[1].payloads);
}

#[test]
fn an_unchanged_image_gets_a_tiny_delta() {
    let (world, repository, [alice, bob, _]) = World::published();
    for version in ["1.0.0", "1.1.0"] {
        let mut request = release(version, &image(version.len() as u32));
        let kernel = ImageSource::Bytes(image(9));
        request.images.insert("kernel".parse().unwrap(), kernel);
        let forecast = repository.stage_release(&request, now(), &silent).unwrap();
        for delta in forecast.images.iter().flat_map(|image| &image.deltas) {
            assert!(delta.bytes < 1000, "{delta:?}");
        }
        sign_and_publish(&repository, &[&alice, &bob], now());
    }
    assert_eq!(world.verify(now()).unwrap().releases[0].payloads.len(), 4);
}

#[test]
fn a_missing_old_image_is_said_not_failed() {
    let (_world, repository, [alice, bob, _]) = World::published();
    repository
        .stage_release(&release("1.0.0", &image(1)), now(), &silent)
        .unwrap();
    sign_and_publish(&repository, &[&alice, &bob], now());
    std::fs::remove_dir_all(repository.layout().folder().join("images")).unwrap();
    let forecast = repository
        .stage_release(&release("1.1.0", &image(2)), now(), &silent)
        .unwrap();
    let delta = &forecast.images[0].deltas[0];
    assert_eq!(
        delta.skipped,
        Some(repo_tool::release::Skipped::ImageNotAtHand)
    );
    assert_eq!(delta.bytes, forecast.images[0].full_bytes);
}

#[test]
fn a_stepping_stone_limits_the_deltas() {
    let (_world, repository, [alice, bob, _]) = World::published();
    for (number, version) in [(1, "1.0.0"), (2, "2.0.0")] {
        repository
            .stage_release(&release(version, &image(number)), now(), &silent)
            .unwrap();
        sign_and_publish(&repository, &[&alice, &bob], now());
    }
    let mut request = release("3.0.0", &image(3));
    request.requires = Some("2.0.0".parse().unwrap());
    let forecast = repository.stage_release(&request, now(), &silent).unwrap();
    let from: Vec<&str> = forecast.images[0]
        .deltas
        .iter()
        .map(|delta| delta.from_version.as_str())
        .collect();
    assert_eq!(from, ["2.0.0"]);
    let _ = stable();
}
