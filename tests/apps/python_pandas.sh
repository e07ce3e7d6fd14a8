# needs-python: pandas numpy
# timeout: 300
exec 2>&1
/usr/bin/python3 - <<'END'
import numpy as np, pandas as pd, io
rng = np.random.default_rng(1)
a = rng.normal(size=(400, 400)); print(round(float(np.linalg.det(a[:20, :20])), 6), round(float((a @ a.T).trace()), 3), np.round(np.linalg.svd(a[:50, :50], compute_uv=False)[:3], 6))
print(np.fft.fft(np.arange(8)).round(3)); np.save("x.npy", a); m = np.load("x.npy", mmap_mode="r"); print(float(m[3, 4]) == float(a[3, 4]))
df = pd.DataFrame({"g": rng.integers(0, 5, 20000), "x": rng.normal(size=20000), "t": pd.date_range("2020-01-01", periods=20000, freq="h")})
print(df.groupby("g")["x"].agg(["mean", "count"]).round(6)); df.to_csv("d.csv", index=False); back = pd.read_csv("d.csv", parse_dates=["t"]); print(back.shape, back.dtypes.tolist())
print(df.set_index("t").resample("90D")["x"].sum().round(6)); print(df.merge(pd.DataFrame({"g": range(5), "n": list("abcde")})).pivot_table(index="n", values="x", aggfunc="max").round(6)); print(df.describe().round(4))
df.to_pickle("d.pkl"); print(pd.read_pickle("d.pkl").equals(df)); print(pd.read_json(io.StringIO(df.head(3).to_json())).shape)
END
