import "./styles/base.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/gavel.css";
import "./styles/diff.css";
import { GavelProvider } from "@gavel/convex/react";
import { ConvexProviderWithAuth, ConvexReactClient } from "convex/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { api } from "../convex/_generated/api";
import { App } from "./app";
import { DEPLOYMENT_URL, useVisitor } from "./session";

const client = new ConvexReactClient(DEPLOYMENT_URL, { initialAuthTokenReuse: true });

function Root() {
  const { auth, signIn } = useVisitor();
  return (
    <ConvexProviderWithAuth client={client} useAuth={() => auth}>
      <GavelProvider api={api.judge}>
        <App signIn={signIn} />
      </GavelProvider>
    </ConvexProviderWithAuth>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Root />
  </StrictMode>,
);
