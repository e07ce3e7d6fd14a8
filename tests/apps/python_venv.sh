# needs-python: ensurepip
# timeout: 400
exec 2>&1
/usr/bin/python3 -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix, sys.version_info[:2])'
/usr/bin/python3 -m venv full && full/bin/pip --version | cut -d' ' -f1 && full/bin/pip list 2>/dev/null | awk '{print $1}'
mkdir -p pkg/hello && echo 'def hi(): return "hi from package"' > pkg/hello/__init__.py
printf '[build-system]\nrequires=["setuptools"]\nbuild-backend="setuptools.build_meta"\n[project]\nname="hello"\nversion="1.0"\n' > pkg/pyproject.toml
full/bin/pip install --no-index --no-build-isolation -q ./pkg > log 2>&1; echo pip $?; full/bin/python -c 'import hello; print(hello.hi())' 2>&1 | tail -1
