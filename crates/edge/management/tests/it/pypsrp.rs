//! A real client: pypsrp's `WSMan`. `OPENRDMS_TEST_PYPSRP` names a Python that has it.

use crate::fake::Running;

#[tokio::test]
async fn pypsrp_can_do_all_of_it() {
    let Some(python) = std::env::var_os("OPENRDMS_TEST_PYPSRP") else {
        println!("SKIPPED: OPENRDMS_TEST_PYPSRP names no Python with pypsrp");
        return;
    };
    let server = Running::plain(1500).await;
    let output = tokio::process::Command::new(python)
        .arg("-c")
        .arg(include_str!("pypsrp.py"))
        .arg(server.address.port().to_string())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(server.fake.calls.lock().unwrap().len(), 2);
}
