#!/usr/bin/env bash
# The peers that tests talk to. Installs them on Debian as root; elsewhere says what is missing and goes on:
# tests that need a missing peer are skipped, with its name.
set -euo pipefail

declare -A package=(
  [Orthanc]=orthanc [storescu]=dcmtk [dciodvfy]=dicom3tools [dcm2niix]=dcm2niix
  [DicomSRValidator]=pixelmed-apps [javac]=default-jdk-headless
)
missing=()
for tool in "${!package[@]}"; do
  PATH="$PATH:/usr/sbin" command -v "$tool" >/dev/null || missing+=("${package[$tool]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing peers: ${missing[*]} (their tests are skipped). On Debian:  sudo apt-get install -y ${missing[*]}" >&2
  exit 0
fi
echo "installing peers for the tests: ${missing[*]}"
# Orthanc's package starts a server on all interfaces: mask the service before it is there.
mkdir -p /etc/systemd/system
ln -sf /dev/null /etc/systemd/system/orthanc.service
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
