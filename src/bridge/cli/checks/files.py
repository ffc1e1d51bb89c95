"""The two files of a site."""

from __future__ import annotations

from pathlib import Path

from bridge.cli.checks.finding import Finding, good, warn, wrong
from bridge.config import RulesFile, Site, check_rules, load_rules, load_site, unused_volumes
from bridge.errors import ConfigError


def files(config: Path) -> tuple[list[Finding], Site | None, RulesFile | None]:
    """What is wrong with them, and both as far as they can be read."""
    try:
        site = load_site(config)
    except ConfigError as error:
        return _wrong(config, error), None, None
    lines = [good(config.name, "read"), *_patients(config, site)]
    name = site.rules_file.name
    try:
        rules = load_rules(site.rules_file)
        problems = check_rules(rules, site)
        if not problems:
            from bridge.rules import compile_rules

            compile_rules(rules)
    except ConfigError as error:
        return lines + _wrong(site.rules_file, error), site, None
    if problems:
        return lines + [wrong(name, problem.sentence()) for problem in problems], site, rules
    lines += [
        good(
            name,
            f"{rule} is {one.mode}: {one.algorithm} at {one.platform}, results to {', '.join(one.destinations)}",
        )
        for rule, one in rules.rules.items()
    ]
    lines += _pixels(name, rules)
    lines += [
        warn(name, f"line {line}: volumes.{one} is named by no input", "Name it in a rule, or remove it")
        for one, line in unused_volumes(rules)
    ]
    return lines, site, rules


def _pixels(name: str, rules: RulesFile) -> list[Finding]:
    """What pixels may show of a person, and leaves all the same: said, never hidden."""
    working = {rule: one.privacy for rule, one in rules.rules.items() if one.mode != "off"}
    faces = [rule for rule, one in working.items() if one.defacing == "none" or "face" in one.allow]
    lines = []
    if faces:
        told = f"a head that is sent shows its face, in every format: {', '.join(faces)}"
        lines.append(good(name, f'{told}. Nothing removes faces; defacing = "refuse" keeps heads here'))
    for rule, one in working.items():
        if taken := [word for word in one.allow if word != "face"]:
            lines.append(
                warn(
                    name,
                    f"{rule} sends pixels that may show a person: {', '.join(taken)}",
                    "Keep `privacy.allow` only where that is agreed",
                )
            )
    return lines


def _patients(config: Path, site: Site) -> list[Finding]:
    """`[test_patients]` and the opt-out list, which is never shown."""
    from bridge.config.opt_out import read_opt_out
    from bridge.rules.guards import named_test_patients

    lines = []
    try:
        named_test_patients(site)
    except ConfigError as error:
        lines += _wrong(config, error)
    if site.opt_out_file is not None:
        try:
            count = len(read_opt_out(site.opt_out_file))
        except ConfigError as error:
            lines += _wrong(site.opt_out_file, error)
        else:
            lines.append(
                good(site.opt_out_file.name, f"{count} line{'s' * (count != 1)} of the opt-out list")
            )
    return lines


def _wrong(file: Path, error: ConfigError) -> list[Finding]:
    return [wrong(file.name, one.sentence()) for one in (error, *error.others)]
