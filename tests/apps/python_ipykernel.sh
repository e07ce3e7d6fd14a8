# needs: python3
# needs-python: ipykernel
# needs-python: jupyter_client
# timeout: 120
exec 2>&1
export HOME="$PWD" JUPYTER_RUNTIME_DIR="$PWD/run" JUPYTER_DATA_DIR="$PWD/jd" PYDEVD_DISABLE_FILE_VALIDATION=1; mkdir -p run jd
/usr/bin/python3 -W ignore - 2> log <<'END'
import queue
from jupyter_client.manager import KernelManager
km = KernelManager(); km.kernel_cmd = ["/usr/bin/python3", "-W", "ignore", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
km.start_kernel(); kc = km.client(); kc.start_channels(); kc.wait_for_ready(timeout=60)
def run(code):
    kc.execute(code); out = []
    while True:
        m = kc.get_iopub_msg(timeout=30)
        t, c = m["msg_type"], m["content"]
        if t == "stream": out.append(c["text"])
        elif t == "execute_result": out.append(c["data"]["text/plain"])
        elif t == "error": out.append(c["ename"])
        elif t == "status" and c["execution_state"] == "idle": return out
print(run("6*7")); print(run("x = [i*i for i in range(5)]\nprint(x)")); print(run("1/0")); print(run("!echo from the shell")); print(run("import threading\nt = threading.Thread(target=lambda: print('thread'))\nt.start(); t.join()"))
kc.execute("import time\ntime.sleep(60)"); import time; time.sleep(1); km.interrupt_kernel()
while True:
    m = kc.get_iopub_msg(timeout=30)
    if m["msg_type"] == "error": print(m["content"]["ename"]); break
kc.stop_channels(); km.shutdown_kernel(now=False); print(km.is_alive(), flush=True)
import os; os._exit(0)
END
