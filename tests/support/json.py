"""The JSON API, through requests."""

from urllib.parse import quote, urlsplit

import requests

SESSION = "Win32_VirtualDesktopSession"


class Json:
    """One account's view of /api/v1. `door` is the address of WS-Management: both are behind the same one."""

    def __init__(self, door: str, user: str | None = None, password: str = ""):
        parts = urlsplit(door)
        self.root = f"{parts.scheme}://{parts.netloc}/api/v1"
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = False
        if user is not None:
            self.http.auth = (user, password.encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

    def request(self, verb: str, *path: object, **more) -> requests.Response:
        """Any answer. A path is a class, keys and a method; `json`, `params`, `headers` are those of requests."""
        address = "/".join([self.root, *(quote(str(part), safe="") for part in path)])
        answer = self.http.request(verb, address, timeout=60, **more)
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json", answer.text
            assert answer.json()["status"] == answer.status_code
        return answer

    def get(self, *path: object, **params):
        answer = self.request("GET", *path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def list(self, name: str, **params) -> list[dict]:
        """All of a class, page by page."""
        found, more = [], {}
        while True:
            page = self.get(name, **params, **more)
            found += page["items"]
            if page["next"] is None:
                return found
            more = {"cursor": page["next"]}

    def call(self, *path: object, params: dict | None = None, **parameters) -> dict:
        answer = self.request("POST", *path, json=parameters, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, verb: str, *path: object, **more) -> tuple[int, str]:
        """Status and WMI name of what has to be a refusal."""
        answer = self.request(verb, *path, **more)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json()["wmiName"]

    def session_of(self, user: str) -> dict | None:
        found = self.list(SESSION, UserName=user)
        assert len(found) <= 1
        return found[0] if found else None
