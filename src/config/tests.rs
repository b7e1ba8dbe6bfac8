// SPDX-License-Identifier: GPL-3.0-or-later
//! What files mean, and what is said of bad ones.

use super::*;

fn complaint(text: &str) -> String {
    Config::parse(text, "c.toml").unwrap_err().to_string()
}

#[test]
fn the_commented_default_file_equals_the_defaults() {
    assert_eq!(Config::parse(DEFAULT_TEXT, "default").unwrap(), Config::default());
}

#[test]
fn the_examples_within_the_default_file_parse_too() {
    let uncommented: String = DEFAULT_TEXT
        .lines()
        .filter_map(|line| {
            let inner = line.strip_prefix("# ").unwrap_or(line);
            let sample = inner.starts_with('[') || inner.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
            sample.then_some(format!("{inner}\n"))
        })
        .collect();
    let config = Config::parse(&uncommented, "default").unwrap();
    assert_eq!(config.output.len(), 1);
    let web = config.guest_config("web");
    assert_eq!(web.label("web"), "Web browser");
    assert_eq!(config.limits.with(&web.limits).mapped_mib, 512);
}

#[test]
fn unknown_keys_are_named_with_place_and_suggestion() {
    assert_eq!(
        complaint("[backend]\n\n  rendrer = 2\n"),
        "c.toml:3:3: unknown key `rendrer`; did you mean `renderer`?"
    );
    assert_eq!(complaint("[pacign]\n"), "c.toml:1:2: unknown key `pacign`; did you mean `pacing`?");
    assert_eq!(complaint("[log]\ncolour = 1\n"), "c.toml:2:1: unknown key `colour`; known are level");
    assert_eq!(
        complaint("[limits]\nflips-per-secnd = 2\n"),
        "c.toml:2:1: unknown key `flips-per-secnd`; did you mean `flips-per-second`?"
    );
    assert_eq!(
        complaint("[guest.\"web\".limits]\nbuffer_mib = 2\n"),
        "c.toml:2:1: unknown key `buffer_mib`; did you mean `buffer-mib`?"
    );
}

#[test]
fn values_are_refused_with_their_key_and_what_would_be_right() {
    assert_eq!(
        complaint("[limits]\nconnectors = 17\n"),
        "c.toml:2:14: `limits.connectors`: invalid value: integer `17`, expected a whole number from 1 to 16"
    );
    assert_eq!(
        complaint("[pacing]\nhidden-hz = 0\n"),
        "c.toml:2:13: `pacing.hidden-hz`: invalid value: integer `0`, expected a whole number from 1 to 60"
    );
    assert_eq!(
        complaint("[backend]\nkind = \"headles\"\n"),
        "c.toml:2:8: `backend.kind` has no value `headles`; did you mean `headless`?"
    );
    assert_eq!(
        complaint("[[output]]\nname = \"a\"\nmode = \"1920*1080\"\n"),
        "c.toml:3:8: `output.mode`: \"1920*1080\" is not a mode: no \"x\" between width and height; write it like \"1920x1080\" or \"1920x1080@60\""
    );
    assert_eq!(
        complaint("[guest.web]\ncolor = \"red\"\n"),
        "c.toml:2:9: `guest.web.color`: \"red\" is not a colour; write it like \"#2f6fb5\""
    );
    assert_eq!(
        complaint("[guest.web]\nfullscreen = \"yes\"\n"),
        "c.toml:2:14: `guest.web.fullscreen`: invalid type: string \"yes\", expected a boolean"
    );
    assert!(
        complaint("[control]\nmode = \"0666\"\n").starts_with("c.toml:2:8: `control.mode`: \"0666\" is not allowed")
    );
    assert_eq!(
        complaint("[desktop]\nprivileged = [\"/usr/bin/grim\", \"slurp\"]\n"),
        "c.toml:2:14: `desktop.privileged`: \"slurp\" is not the absolute path of a program, such as \"/usr/bin/grim\""
    );
    assert!(complaint("[desktop]\nprivileged = [\"/usr/bin/\"]\n").contains("`desktop.privileged`"));
    let many = vec!["\"/bin/a\""; 65].join(",");
    assert!(complaint(&format!("[desktop]\nprivileged = [{many}]\n")).contains("at most 64 programs"));
    assert!(complaint("[control]\nsocket = \"x\"\n").contains("neither \"auto\" nor an absolute path"));
    assert!(complaint("[backend]\ndrm-device = \"card0\"\n").contains("`backend.drm-device`"));
    assert!(complaint("[[output]]\nmode = \"800x600\"\n").contains("missing field `name`"));
}

#[test]
fn contradictions_are_found_where_they_stand() {
    assert_eq!(
        complaint("[limits]\nmapped-mib = 32\n"),
        "c.toml:1:2: buffer-mib is 64, but mapped-mib allows only 32 in all"
    );
    assert_eq!(
        complaint("[guest.web.limits]\nbuffer-mib = 300\n"),
        "c.toml:2:1: buffer-mib is 300, but mapped-mib allows only 256 in all"
    );
    let twice = "[[output]]\nname = \"a\"\nmode = \"800x600\"\n[[output]]\nname = \"a\"\nmode = \"800x600\"\n";
    assert_eq!(complaint(twice), "c.toml:5:1: output `a` is configured twice");
}

#[test]
fn every_complaint_is_one_line() {
    let bad = [
        "[",
        "a = \"\"\"\nx\n",
        "= 1",
        "[log]\nlevel = \"\"\"a\nb\"\"\"\n",
        "[guest.\"a\\nb\"]\nx = 1\n",
        "\u{0}",
        "backend = 3",
        "[log]\n[log]\n",
        "guest = 1",
        "output = {}",
        "[guest.\"a\\u001b[2J\"]\ncolor = \"x\\ny\"\n",
        "\"a\\nb\" = 1\n",
    ];
    for text in bad {
        let line = complaint(text);
        assert!(line.starts_with("c.toml:"), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    let line = Config::load(Path::new("/nonexistent/c.toml")).unwrap_err().to_string();
    assert!(line.starts_with("/nonexistent/c.toml: the configuration can't be read: "), "{line}");
}

#[test]
fn guests_differ_only_where_they_are_configured_to() {
    let text = "[limits]\nconnectors = 2\n[guest.web]\nlabel = \"Browser\"\ncolor = \"#0a0B0c\"\nfullscreen = true\n\
                [guest.web.limits]\nmapped-mib = 512\n";
    let config = Config::parse(text, "c.toml").unwrap();
    let (web, mail) = (config.guest_config("web"), config.guest_config("mail"));
    let limits = config.limits.with(&web.limits);
    assert_eq!((limits.connectors, limits.mapped_mib), (2, 512));
    assert_eq!(config.limits.with(&mail.limits), config.limits);
    assert_eq!((web.label("web"), mail.label("mail")), ("Browser", "mail"));
    assert_eq!(web.color("web"), Rgb { red: 10, green: 11, blue: 12 });
    assert!(web.fullscreen && !mail.fullscreen);
}

#[test]
fn colours_depend_on_the_name_alone_and_differ() {
    let guest = GuestConfig::default();
    // Fixed for all time: users learn which colour is whose.
    assert_eq!(guest.color("web"), Config::default().guest_config("web").color("web"));
    let colors: std::collections::BTreeSet<String> =
        (0..200).map(|number| guest.color(&format!("guest-{number}")).to_string()).collect();
    assert_eq!(colors.len(), 16);
}

#[test]
fn programs_are_words_and_have_keys_of_their_own() {
    let text = "[keys]\nprograms = { enter = [\"/usr/bin/foot\", \"-e\", \"top\"], 3 = [\"x\"] }\n";
    let config = Config::parse(text, "c.toml").unwrap();
    let names: Vec<&str> = config.keys.programs.values().map(Program::name).collect();
    assert_eq!(names, ["x", "foot"]);
    assert!(config.keys.workspace_keys().all(|(number, _)| number != 3), "3 starts a program now");
    let bad = [
        ("keys.programs = { esc = [\"x\"] }", "secure-attention"),
        ("keys.programs = { right-ctrl = [\"x\"] }", "the reserved key"),
        ("keys.programs = { enter = \"foot -e top\" }", "sequence"),
        ("keys.programs = { enter = [] }", "a list of its name"),
        ("keys.programs = { entr = [\"x\"] }", "did you mean \"enter\""),
        ("desktop.start = [[\"\"]]", "a list of its name"),
        ("desktop.start = [\"waybar\"]", "sequence"),
        ("desktop.start = [[\"a\\u0000b\"]]", "a list of its name"),
        ("desktop.start = [[\"x\"]]\n[[kiosk]]\nguest = \"web\"\noutput = \"a\"", "a kiosk starts no programs"),
        ("keys.programs = { f5 = [\"x\"] }\n[[kiosk]]\nguest = \"web\"\noutput = \"a\"", "a kiosk starts no programs"),
    ];
    for (text, why) in bad {
        assert!(complaint(text).contains(why), "{text}: {}", complaint(text));
    }
}

#[test]
fn modes_are_read_exactly() {
    let mode = |text: &str| text.parse::<Mode>();
    assert_eq!(mode("1920x1080"), Ok(Mode { width: 1920, height: 1080, refresh_mhz: None }));
    assert_eq!(mode("800x600@59.94").unwrap().refresh_mhz, Some(59_940));
    for bad in [
        "",
        "x",
        "800x",
        "x600",
        "63x600",
        "800x16385",
        "800x600@",
        "800x600@0",
        "800x600@1001",
        "+800x600",
        "800x600@59.9400",
        "800x600@6e1",
        "800 x600",
        "99999999999x1",
        "-1x5",
        "1x1x1",
    ] {
        assert!(mode(bad).is_err(), "{bad}");
    }
}

proptest::proptest! {
    /// Whatever is wrong, it is said in one line that begins with the file.
    #[test]
    fn any_change_of_the_default_file_is_good_or_one_line(at in 0..DEFAULT_TEXT.len(), cut in 0_usize..40, put in ".{0,12}") {
        let start = (0..=at).rev().find(|at| DEFAULT_TEXT.is_char_boundary(*at)).unwrap();
        let end = (start..=start + cut).rev().find(|at| DEFAULT_TEXT.is_char_boundary(*at)).unwrap();
        let text = [&DEFAULT_TEXT[..start], put.as_str(), &DEFAULT_TEXT[end..]].concat();
        if let Err(error) = Config::parse(&text, "c.toml") {
            let line = error.to_string();
            assert!(line.starts_with("c.toml:") && !line.chars().any(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn a_place_of_the_kiosk_is_read() {
    let text = "[[kiosk]]\nguest = \"cluster\"\nconnector = \"map\"\noutput = \"DP-1\"\narea = \"800x480+10+20\"\n\
                fit = \"crop\"\nrotate = 270\nlayer = 3\n[[kiosk]]\nguest = \"cluster\"\noutput = \"DP-1\"\n";
    let config = Config::parse(text, "c.toml").unwrap();
    let [first, second] = &config.kiosk[..] else { panic!("{config:?}") };
    assert_eq!(first.area, Some(Area { x: 10, y: 20, width: 800, height: 480 }));
    assert_eq!((first.fit, first.rotate, first.layer.get()), (Fit::Crop, Turn::Left, 3));
    assert_eq!(
        (&first.connector, &second.connector),
        (&ConnectorName::UniqueId("map".into()), &ConnectorName::Index(0))
    );
    assert_eq!((second.area, second.after, second.edid), (None, After::Black, Edid::Panel));
}

#[test]
fn a_place_that_cannot_be_is_refused_with_what_would_be_right() {
    let place = |more: &str| complaint(&format!("[[kiosk]]\nguest = \"a\"\noutput = \"b\"\n{more}\n"));
    for (area, ok) in [("800x480", false), ("0x480+0+0", false), ("1x1+-1+0", false), ("1x1+0+16385", false)] {
        assert_eq!(place(&format!("area = \"{area}\"")).contains("is not an area; write WIDTHxHEIGHT+LEFT+TOP"), !ok);
    }
    assert_eq!(
        place("rotate = 45"),
        "c.toml:4:10: `kiosk.rotate`: a picture is turned by 0, 90, 180 or 270 degrees, not 45"
    );
    assert!(place("fit = \"center\"").contains("did you mean `centre`?"));
    assert!(place("layer = 1001").contains("a whole number from 0 to 1000"));
    assert!(place("connector = 16").contains("a number from 0 to 15"));
    assert_eq!(place("before = \"splash\""), "c.toml:4:1: `before = \"splash\"` wants the key `splash`, a PNG file");
    assert!(place("after = \"splash\"").starts_with("c.toml:4:1: `after"));
    assert!(place("splash = \"a.png\"").contains("is not an absolute path"));
    assert!(place("[[kiosk]]\nguest = \"a\"\noutput = \"c\"").contains("has a place already"));
    assert!(complaint("[[output]]\nname = \"a\"\nmode = \"800x600\"\npanel = \"Dell\"\n").contains("is not a panel"));
}
