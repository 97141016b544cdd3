#!/bin/sh
# Writes PROGRAM's manual page, which is its --help: packaging/manual_page.sh PROGRAM SECTION VERSION FOLDER
set -eu
program=$1 section=$2 version=$3 folder=$4
name=$(basename "$program")
case $name in
  fleetseal) summary="signs software under policy and delivers it to verified devices" ;;
  fleetseal-server) summary="Fleetseal's device API and admin API" ;;
  fleetseal-signer) summary="holds Fleetseal's signing keys, register and log" ;;
  fleetseal-sealer) summary="encrypts content and wraps its keys for devices" ;;
  fleetseal-agent) summary="fetches updates for a device's installer" ;;
  fleetseal-installer) summary="judges and installs updates on a device" ;;
  *) echo "manual_page.sh: no summary for $name" >&2; exit 1 ;;
esac
mkdir -p "$folder"
{
  printf '.TH %s %s "" "Fleetseal %s"\n' "$(echo "$name" | tr '[:lower:]' '[:upper:]')" "$section" "$version"
  printf '.SH NAME\n%s \\- %s\n' "$name" "$summary"
  printf '.SH DESCRIPTION\n.nf\n'
  # Help goes to standard output or error, and a line that starts with . or '"'"' would be a command of troff.
  NO_COLOR=1 COLUMNS=80 "$program" --help </dev/null 2>&1 | sed -e 's/\\/\\e/g' -e "s/^\([.']\)/\\\\\&\1/" -e 's/-/\\-/g'
  printf '.fi\n.SH SEE ALSO\n'
  if [ "$name" = fleetseal ]; then printf 'Every verb has its own help: fleetseal VERB \\-\\-help.\n'
  else printf 'fleetseal(1), systemctl(1)\n'; fi
} >"$folder/$name.$section"
