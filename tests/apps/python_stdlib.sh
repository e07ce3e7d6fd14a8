# timeout: 300
exec 2>&1
/usr/bin/python3 - <<'END'
import importlib, pkgutil, sys, warnings
warnings.simplefilter("ignore")
skip = {"antigravity", "this", "idlelib", "turtledemo", "turtle", "test", "__main__", "lib2to3", "tkinter", "ensurepip", "distutils"}
ok, bad = 0, []
for name in sorted(sys.stdlib_module_names):
    if name in skip or name.startswith("_pyrepl"):
        continue
    try:
        importlib.import_module(name)
        ok += 1
    except ImportError as e:
        bad.append(name)
print(ok, "imported; not here:", " ".join(bad))
END
