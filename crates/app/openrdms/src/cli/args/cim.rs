//! `openrdms cim …`, as it is typed.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum CimCommand {
    /// List the classes of a namespace
    Classes {
        /// Its name [default: root/openrdms]
        namespace: Option<String>,
        /// The same
        #[arg(short = 'n', long = "namespace", value_name = "NAME", conflicts_with = "namespace")]
        option: Option<String>,
    },
    /// Show a class: its properties and methods
    Class {
        /// Its name
        name: String,
        #[command(flatten)]
        within: Within,
    },
    /// Show one instance
    Get {
        /// Its path: Class.Key="text",Key2=5; a namespace may come before it: root/cimv2/rdms:Class.Key=1
        path: String,
        #[command(flatten)]
        within: Within,
    },
    /// List what a WQL query finds
    Query {
        /// Such as: SELECT * FROM OpenRDMS_Session WHERE State = 'Active'
        query: String,
        #[command(flatten)]
        within: Within,
    },
    /// Tell the events that a query asks for, one by one, until Ctrl-C
    Watch {
        /// Such as: SELECT * FROM __InstanceDeletionEvent WITHIN 5 WHERE TargetInstance ISA 'OpenRDMS_Session'
        query: String,
        #[command(flatten)]
        within: Within,
    },
    /// Call a method
    Invoke {
        /// Of what: the path of an instance, or the name of a class for a static method
        path: String,
        /// Its name
        method: String,
        /// Parameters; NAME=@FILE reads the value from a file, NAME=@- from standard input, NAME=@@x is the text
        /// @x. An array takes its NAME once for every element; what is not given is null
        #[arg(value_name = "NAME=VALUE")]
        parameters: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        within: Within,
    },
    /// Make an instance
    Create {
        /// Of which class
        class: String,
        /// Its properties, keys among them; values as `cim invoke` takes them
        #[arg(value_name = "NAME=VALUE")]
        properties: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        within: Within,
    },
    /// Change properties of an instance; what is not named stays
    Set {
        /// Its path
        path: String,
        /// Properties; values as `cim invoke` takes them
        #[arg(value_name = "NAME=VALUE", required = true)]
        properties: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        within: Within,
    },
    /// Remove an instance
    Delete {
        /// Its path
        path: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        within: Within,
    },
    /// Print a class as MOF
    Mof {
        /// Its name
        name: String,
        #[command(flatten)]
        within: Within,
    },
}

/// Where the names are looked up.
#[derive(Debug, Args)]
pub(crate) struct Within {
    /// Namespace of the class
    #[arg(short, long, value_name = "NAME", default_value = "root/openrdms")]
    pub(crate) namespace: String,
}
